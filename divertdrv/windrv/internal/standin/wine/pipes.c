/*
 * Loaded into Wine's own processes (LD_PRELOAD, built for Linux): pipes with room for a whole request.
 *
 * A program under Wine writes the buffer of a device request into a pipe to wineserver. What exceeds the pipe's 65,536 bytes
 * waits for the server, and when a signal ends that wait, as the completion of another request does, Wine ends the thread with
 * "partial write 65536". A request of windrv has room for a packet of 65,575 bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>

#define ROOM (1 << 20)

int pipe2(int fds[2], int flags)
{
    int (*real)(int *, int) = dlsym(RTLD_NEXT, "pipe2");
    int result = real(fds, flags);

    if (result == 0)
        fcntl(fds[1], F_SETPIPE_SZ, ROOM);
    return result;
}

int pipe(int fds[2])
{
    return pipe2(fds, 0);
}
