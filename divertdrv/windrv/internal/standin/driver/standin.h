/*
 * A stand-in for WinDivert's driver, for Wine: it takes the requests that WinDivert's library and windrv make, and has a test
 * answer them over a connection to this host. It has no opinion on packets. See ../doc.go for what that is good for.
 *
 *   entry.c    the driver's entry, and which request goes where
 *   handle.c   one open handle: its connection, and the requests that wait
 *   request.c  what a request carries, and how its answer is written back
 *   frame.c    the connection
 *   host.c     the process that the driver runs in
 *
 * Wine runs drivers in a process like others (winedevice.exe), which is why this one may call kernel32 and open sockets.
 */
#ifndef WEIR_STANDIN_H
#define WEIR_STANDIN_H

#include <ntstatus.h>
#include <ddk/ntddk.h>

#include "frame.h"
#include "host.h"

#define DEVICE L"\\Device\\WinDivert"
#define DEVICE_LINK L"\\DosDevices\\WinDivert"

#define ADDRESS_SIZE 80
#define BATCH_MAX 255

/* A request that waits for its answer. */
struct request {
    struct request *next;
    IRP *irp;
    uint32_t id;
    uint32_t operation;
    uint64_t address, address_size; /* RECV: where the process wants them */
};

/* An open handle. */
struct handle {
    connection to;
    process owner;
    thread reader;
    event *closed; /* the test knows of the end */
    lock *lock;    /* guards what follows, and the way out of the connection */
    struct request *waiting;
    uint32_t last_id;
    int broken;
};

/* handle.c */
NTSTATUS handle_open(FILE_OBJECT *file);
void handle_close(FILE_OBJECT *file);
NTSTATUS handle_ask(struct handle *h, IRP *irp, uint32_t operation);

/* request.c */
NTSTATUS request_describe(struct handle *h, struct request *r, struct frame *f, const void **payload, uint8_t **scratch);
NTSTATUS request_answer(struct handle *h, struct request *r, const struct frame *f, const uint8_t *payload, ULONG *information);

#endif
