#include "standin.h"

static void complete(struct request *r, NTSTATUS status, ULONG information)
{
    IoSetCancelRoutine(r->irp, NULL);
    r->irp->IoStatus.Status = status;
    r->irp->IoStatus.Information = information;
    IoCompleteRequest(r->irp, IO_NO_INCREMENT);
    memory_free(r);
}

/* Takes the request of that number off the list, any for 0; NULL: there is none. */
static struct request *take(struct handle *h, uint32_t id)
{
    struct request **at, *r;

    lock_enter(h->lock);
    for (at = &h->waiting; (r = *at) != NULL; at = &r->next)
        if (id == 0 || r->id == id) {
            *at = r->next;
            break;
        }
    lock_leave(h->lock);
    return r;
}

/* Reads answers until the test or the handle is gone. */
static void read_answers(void *context)
{
    struct handle *h = context;
    struct request *r;
    struct frame f;
    uint8_t *payload;
    ULONG information;
    NTSTATUS status;

    while (frame_read(h->to, &f, &payload)) {
        if (f.operation == OP_CLOSE)
            event_set(h->closed);
        r = take(h, f.id);
        if (r != NULL) {
            status = request_answer(h, r, &f, payload, &information);
            complete(r, status, information);
        }
        memory_free(payload);
    }
    lock_enter(h->lock);
    h->broken = 1;
    lock_leave(h->lock);
    while ((r = take(h, 0)) != NULL)
        complete(r, STATUS_DEVICE_NOT_CONNECTED, 0);
    event_set(h->closed);
}

/* Tells the test of a new handle and asks whether it may be opened. */
static NTSTATUS introduce(struct handle *h)
{
    struct frame f;
    uint8_t *payload;
    uint32_t pid = HandleToULong(PsGetCurrentProcessId());

    memset(&f, 0, sizeof(f));
    f.operation = OP_CREATE;
    memcpy(f.words, &pid, sizeof(pid));
    if (!frame_write(h->to, &f, NULL) || !frame_read(h->to, &f, &payload))
        return STATUS_DEVICE_NOT_CONNECTED;
    memory_free(payload);
    return f.status;
}

static void dispose(struct handle *h)
{
    if (h->to != NO_CONNECTION)
        frame_disconnect(h->to);
    if (h->reader != NULL)
        thread_join(h->reader);
    process_close(h->owner);
    event_free(h->closed);
    lock_free(h->lock);
    memory_free(h);
}

NTSTATUS handle_open(FILE_OBJECT *file)
{
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct handle *h = memory_get(sizeof(*h));

    if (h == NULL)
        return status;
    h->to = frame_connect();
    h->owner = process_open(HandleToULong(PsGetCurrentProcessId()));
    h->closed = event_new();
    h->lock = lock_new();
    if (h->to == NO_CONNECTION)
        status = STATUS_DEVICE_NOT_CONNECTED;
    else if (h->owner != NULL && h->closed != NULL && h->lock != NULL)
        status = introduce(h);
    if (status == STATUS_SUCCESS && (h->reader = thread_start(read_answers, h)) == NULL)
        status = STATUS_INSUFFICIENT_RESOURCES;
    if (status != STATUS_SUCCESS) {
        dispose(h);
        return status;
    }
    file->FsContext = h;
    return STATUS_SUCCESS;
}

/* The handle's end: the test puts back what was not read, and says so, before this returns. */
void handle_close(FILE_OBJECT *file)
{
    struct handle *h = file->FsContext;
    struct frame f;

    if (h == NULL)
        return;
    memset(&f, 0, sizeof(f));
    f.operation = OP_CLOSE;
    lock_enter(h->lock);
    if (h->broken || !frame_write(h->to, &f, NULL))
        event_set(h->closed);
    lock_leave(h->lock);
    event_wait(h->closed);
    file->FsContext = NULL;
    dispose(h);
}

/* Has the test give the request up. It is complete when the test says so: with packets, or as cancelled. */
static void cancel(struct handle *h, IRP *irp)
{
    struct request *r;
    struct frame f;

    memset(&f, 0, sizeof(f));
    f.operation = OP_CANCEL;
    lock_enter(h->lock);
    for (r = h->waiting; r != NULL; r = r->next)
        if (r->irp == irp) {
            f.id = r->id;
            frame_write(h->to, &f, NULL);
        }
    lock_leave(h->lock);
}

static void WINAPI on_cancel(DEVICE_OBJECT *device, IRP *irp)
{
    struct handle *h = IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext;

    IoReleaseCancelSpinLock(irp->CancelIrql);
    if (h != NULL)
        cancel(h, irp);
}

/* Puts the request on the list and asks the test. All requests wait, which is what a kernel may do with any. */
NTSTATUS handle_ask(struct handle *h, IRP *irp, uint32_t operation)
{
    struct request *r = memory_get(sizeof(*r));
    uint8_t *scratch = NULL;
    const void *payload = NULL;
    struct frame f;
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    int sent;

    memset(&f, 0, sizeof(f));
    IoMarkIrpPending(irp);
    if (r != NULL) {
        r->irp = irp;
        r->operation = f.operation = operation;
        status = request_describe(h, r, &f, &payload, &scratch);
    }
    if (status != STATUS_SUCCESS) {
        memory_free(scratch);
        memory_free(r);
        irp->IoStatus.Status = status;
        irp->IoStatus.Information = 0;
        IoCompleteRequest(irp, IO_NO_INCREMENT);
        return STATUS_PENDING;
    }
    lock_enter(h->lock);
    r->id = f.id = ++h->last_id;
    r->next = h->waiting;
    h->waiting = r;
    IoSetCancelRoutine(irp, on_cancel);
    sent = !h->broken && frame_write(h->to, &f, payload);
    lock_leave(h->lock);
    memory_free(scratch);
    if (!sent && (r = take(h, f.id)) != NULL)
        complete(r, STATUS_DEVICE_NOT_CONNECTED, 0);
    return STATUS_PENDING;
}
