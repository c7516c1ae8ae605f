#include "host.h"

#include <windows.h>

void *memory_get(size_t size)
{
    return HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, size);
}

void memory_free(void *p)
{
    if (p != NULL)
        HeapFree(GetProcessHeap(), 0, p);
}

lock *lock_new(void)
{
    CRITICAL_SECTION *l = memory_get(sizeof(*l));

    if (l != NULL)
        InitializeCriticalSection(l);
    return (lock *)l;
}

void lock_free(lock *l)
{
    if (l != NULL)
        DeleteCriticalSection((CRITICAL_SECTION *)l);
    memory_free(l);
}

void lock_enter(lock *l)
{
    EnterCriticalSection((CRITICAL_SECTION *)l);
}

void lock_leave(lock *l)
{
    LeaveCriticalSection((CRITICAL_SECTION *)l);
}

event *event_new(void)
{
    return (event *)CreateEventA(NULL, TRUE, FALSE, NULL);
}

void event_free(event *e)
{
    if (e != NULL)
        CloseHandle(e);
}

void event_set(event *e)
{
    SetEvent(e);
}

void event_wait(event *e)
{
    WaitForSingleObject(e, INFINITE);
}

struct start {
    void (*run)(void *);
    void *context;
};

static DWORD WINAPI begin(void *p)
{
    struct start s = *(struct start *)p;

    memory_free(p);
    s.run(s.context);
    return 0;
}

thread thread_start(void (*run)(void *context), void *context)
{
    struct start *s = memory_get(sizeof(*s));
    thread t;

    if (s == NULL)
        return NULL;
    s->run = run;
    s->context = context;
    t = CreateThread(NULL, 0, begin, s, 0, NULL);
    if (t == NULL)
        memory_free(s);
    return t;
}

void thread_join(thread t)
{
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}

process process_open(uint32_t pid)
{
    return OpenProcess(PROCESS_VM_READ | PROCESS_VM_WRITE | PROCESS_VM_OPERATION, FALSE, pid);
}

void process_close(process p)
{
    if (p != NULL)
        CloseHandle(p);
}

int process_read(process p, uint64_t from, void *to, size_t size)
{
    SIZE_T done = 0;

    return ReadProcessMemory(p, (void *)(uintptr_t)from, to, size, &done) && done == size;
}

int process_write(process p, uint64_t to, const void *from, size_t size)
{
    SIZE_T done = 0;

    return WriteProcessMemory(p, (void *)(uintptr_t)to, from, size, &done) && done == size;
}
