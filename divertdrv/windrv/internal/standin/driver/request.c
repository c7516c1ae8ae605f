#include "standin.h"

/* What WinDivert's library puts into the 16 bytes that each request starts with (windivert_device.h). */
struct recv_words { uint64_t address, address_size; };
struct send_words { uint64_t address, addresses; };

/* The buffer of a request, which Wine copies from and to the process. */
static uint8_t *buffer(IRP *irp, ULONG *size)
{
    *size = IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.OutputBufferLength;
    if (irp->MdlAddress == NULL || *size == 0) {
        *size = 0;
        return NULL;
    }
    return MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority);
}

/* RECV: how many addresses there is room for is where the process says, or one. */
static NTSTATUS describe_recv(struct handle *h, struct request *r, struct frame *f)
{
    const struct recv_words *w = (const struct recv_words *)f->words;
    uint32_t size = ADDRESS_SIZE;
    ULONG room;

    r->address = w->address;
    r->address_size = w->address_size;
    if (w->address_size != 0 && !process_read(h->owner, w->address_size, &size, sizeof(size)))
        return STATUS_ACCESS_VIOLATION;
    if (w->address == 0)
        size = 0;
    else if (size < ADDRESS_SIZE || size > BATCH_MAX * ADDRESS_SIZE)
        return STATUS_INVALID_PARAMETER;
    f->addresses = size;
    buffer(r->irp, &room);
    f->room = room;
    return STATUS_SUCCESS;
}

/* SEND: the frame carries the addresses, then the packets. */
static NTSTATUS describe_send(struct handle *h, struct request *r, struct frame *f, const void **payload, uint8_t **scratch)
{
    const struct send_words *w = (const struct send_words *)f->words;
    ULONG size;
    const uint8_t *packets = buffer(r->irp, &size);

    if (w->address == 0 || w->addresses < ADDRESS_SIZE || w->addresses > BATCH_MAX * ADDRESS_SIZE)
        return STATUS_INVALID_PARAMETER;
    if (size > FRAME_SIZE_MAX / 2)
        return STATUS_INVALID_PARAMETER;
    *scratch = memory_get((size_t)w->addresses + size);
    if (*scratch == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!process_read(h->owner, w->address, *scratch, (size_t)w->addresses))
        return STATUS_ACCESS_VIOLATION;
    memcpy(*scratch + w->addresses, packets, size);
    *payload = *scratch;
    f->addresses = (uint32_t)w->addresses;
    f->size = (uint32_t)w->addresses + size;
    return STATUS_SUCCESS;
}

/*
 * Fills in the frame that asks the test. An error is the request's end. *scratch is the caller's to free.
 */
NTSTATUS request_describe(struct handle *h, struct request *r, struct frame *f, const void **payload, uint8_t **scratch)
{
    IO_STACK_LOCATION *at = IoGetCurrentIrpStackLocation(r->irp);
    ULONG size;

    if (at->Parameters.DeviceIoControl.InputBufferLength != sizeof(f->words) || r->irp->AssociatedIrp.SystemBuffer == NULL)
        return STATUS_INVALID_PARAMETER;
    memcpy(f->words, r->irp->AssociatedIrp.SystemBuffer, sizeof(f->words));
    switch (r->operation) {
    case OP_RECV:
        return describe_recv(h, r, f);
    case OP_SEND:
        return describe_send(h, r, f, payload, scratch);
    case OP_INITIALIZE:
    case OP_STARTUP:
        *payload = buffer(r->irp, &size);
        f->size = size;
    }
    return STATUS_SUCCESS;
}

/* RECV: the addresses go where the process asked for them, as they do when the packet was cut. */
static NTSTATUS answer_addresses(struct handle *h, struct request *r, const struct frame *f, const uint8_t *payload)
{
    if (f->addresses == 0)
        return STATUS_SUCCESS;
    if (!process_write(h->owner, r->address, payload, f->addresses))
        return STATUS_ACCESS_VIOLATION;
    if (r->address_size != 0 && !process_write(h->owner, r->address_size, &f->addresses, sizeof(f->addresses)))
        return STATUS_ACCESS_VIOLATION;
    return STATUS_SUCCESS;
}

/* Writes what the test answered where the process wants it. */
NTSTATUS request_answer(struct handle *h, struct request *r, const struct frame *f, const uint8_t *payload, ULONG *information)
{
    ULONG size, n = f->size - f->addresses;
    uint8_t *to = buffer(r->irp, &size);
    NTSTATUS status = STATUS_SUCCESS;

    *information = 0;
    if (r->operation == OP_RECV)
        status = answer_addresses(h, r, f, payload);
    if (status != STATUS_SUCCESS)
        return status;
    if (r->operation == OP_SEND) {
        *information = size;
        return f->status;
    }
    if (n > size)
        n = size;
    if (n > 0)
        memcpy(to, payload + f->addresses, n);
    *information = n;
    return f->status;
}
