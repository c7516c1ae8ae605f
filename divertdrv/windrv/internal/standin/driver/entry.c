#include "standin.h"

static NTSTATUS finish(IRP *irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS WINAPI on_create(DEVICE_OBJECT *device, IRP *irp)
{
    return finish(irp, handle_open(IoGetCurrentIrpStackLocation(irp)->FileObject));
}

static NTSTATUS WINAPI on_close(DEVICE_OBJECT *device, IRP *irp)
{
    handle_close(IoGetCurrentIrpStackLocation(irp)->FileObject);
    return finish(irp, STATUS_SUCCESS);
}

static NTSTATUS WINAPI on_control(DEVICE_OBJECT *device, IRP *irp)
{
    IO_STACK_LOCATION *at = IoGetCurrentIrpStackLocation(irp);
    uint32_t operation = at->Parameters.DeviceIoControl.IoControlCode >> 2 & 0xfff;

    if (operation < OP_INITIALIZE || operation > OP_SHUTDOWN)
        return finish(irp, STATUS_INVALID_DEVICE_REQUEST);
    return handle_ask(at->FileObject->FsContext, irp, operation);
}

static void WINAPI on_unload(DRIVER_OBJECT *driver)
{
    UNICODE_STRING link;

    RtlInitUnicodeString(&link, DEVICE_LINK);
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(driver->DeviceObject);
}

/* Wine calls the entry of an image that imports kernel32 as a library's too: then the second argument is a reason, and small. */
NTSTATUS WINAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    UNICODE_STRING name, link;
    DEVICE_OBJECT *device;
    NTSTATUS status;

    if ((ULONG_PTR)path <= 3)
        return TRUE;
    RtlInitUnicodeString(&name, DEVICE);
    RtlInitUnicodeString(&link, DEVICE_LINK);
    status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (status != STATUS_SUCCESS)
        return status;
    status = IoCreateSymbolicLink(&link, &name);
    if (status != STATUS_SUCCESS) {
        IoDeleteDevice(device);
        return status;
    }
    driver->MajorFunction[IRP_MJ_CREATE] = on_create;
    driver->MajorFunction[IRP_MJ_CLOSE] = on_close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = on_control;
    driver->DriverUnload = on_unload;
    return STATUS_SUCCESS;
}
