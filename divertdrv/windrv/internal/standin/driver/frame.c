#include "frame.h"

#include <winsock2.h>
#include <windows.h>

/* The port that PORT_FILE names; 0: none. */
static USHORT port(void)
{
    char text[16];
    DWORD size = 0, i, n = 0;
    HANDLE file = CreateFileA(PORT_FILE, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);

    if (file == INVALID_HANDLE_VALUE)
        return 0;
    if (!ReadFile(file, text, sizeof(text), &size, NULL))
        size = 0;
    CloseHandle(file);
    for (i = 0; i < size && text[i] >= '0' && text[i] <= '9'; i++)
        n = n * 10 + (text[i] - '0');
    return (USHORT)n;
}

/* Connects to the test; NO_CONNECTION: there is none. */
connection frame_connect(void)
{
    struct sockaddr_in to;
    BOOL at_once = TRUE;
    WSADATA data;
    SOCKET s;

    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return NO_CONNECTION;
    s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (s == INVALID_SOCKET)
        return NO_CONNECTION;
    memset(&to, 0, sizeof(to));
    to.sin_family = AF_INET;
    to.sin_port = htons(port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (to.sin_port == 0 || connect(s, (struct sockaddr *)&to, sizeof(to)) != 0) {
        closesocket(s);
        return NO_CONNECTION;
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&at_once, sizeof(at_once));
    return s;
}

void frame_disconnect(connection c)
{
    shutdown((SOCKET)c, SD_BOTH);
    closesocket((SOCKET)c);
}

static BOOL write_all(SOCKET s, const char *b, int size)
{
    int n;

    for (; size > 0; b += n, size -= n)
        if ((n = send(s, b, size, 0)) <= 0)
            return FALSE;
    return TRUE;
}

static BOOL read_all(SOCKET s, char *b, int size)
{
    int n;

    for (; size > 0; b += n, size -= n)
        if ((n = recv(s, b, size, 0)) <= 0)
            return FALSE;
    return TRUE;
}

int frame_write(connection c, const struct frame *f, const void *payload)
{
    return write_all((SOCKET)c, (const char *)f, sizeof(*f)) && write_all((SOCKET)c, payload, (int)f->size);
}

/* Reads a frame; the caller frees its payload, which is never NULL. */
int frame_read(connection c, struct frame *f, uint8_t **payload)
{
    if (!read_all((SOCKET)c, (char *)f, sizeof(*f)) || f->size > FRAME_SIZE_MAX || f->addresses > f->size)
        return FALSE;
    *payload = memory_get(f->size + 1);
    if (*payload != NULL && read_all((SOCKET)c, (char *)*payload, (int)f->size))
        return TRUE;
    memory_free(*payload);
    return FALSE;
}
