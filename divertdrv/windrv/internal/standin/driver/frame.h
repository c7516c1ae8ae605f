/* The connection to the test: frames out, which ask, and frames in, which answer. frame.go is the other end. */
#ifndef WEIR_STANDIN_FRAME_H
#define WEIR_STANDIN_FRAME_H

#include "host.h"

/* The file that says at which port of 127.0.0.1 the test listens, in decimal. */
#define PORT_FILE "C:\\weir-standin-port"

#define FRAME_SIZE_MAX (32u << 20) /* bytes behind the head of a frame */

enum operation {
    OP_CREATE = 1,
    OP_CLOSE,
    OP_CANCEL,
    OP_INITIALIZE = 0x921, /* from here on the functions of WinDivert's control codes */
    OP_STARTUP,
    OP_RECV,
    OP_SEND,
    OP_SET_PARAM,
    OP_GET_PARAM,
    OP_SHUTDOWN,
};

/* The head of a frame, both ways, little-endian; size bytes follow. */
struct frame {
    uint32_t size;
    uint32_t id;        /* of the request that is asked, answered or cancelled */
    uint32_t operation;
    uint32_t status;    /* answers: an NTSTATUS */
    uint32_t addresses; /* bytes of what follows that are addresses; RECV asks for at most that many */
    uint32_t room;      /* RECV asks for at most that many bytes of packets */
    uint8_t words[16];  /* the request's own: union WINDIVERT_IOCTL; CREATE: the process */
};

typedef uint64_t connection;
#define NO_CONNECTION (~(connection)0)

connection frame_connect(void);
void frame_disconnect(connection c);
int frame_write(connection c, const struct frame *f, const void *payload);
int frame_read(connection c, struct frame *f, uint8_t **payload);

#endif
