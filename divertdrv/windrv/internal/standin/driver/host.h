/*
 * What the driver needs of the process that it runs in. The headers of Windows programs and of drivers exclude each other, so
 * host.c and frame.c see the former, the others the latter, and this file neither.
 */
#ifndef WEIR_STANDIN_HOST_H
#define WEIR_STANDIN_HOST_H

#include <stddef.h>
#include <stdint.h>

typedef struct lock lock;
typedef struct event event;
typedef void *thread;
typedef void *process;

/* Memory, zeroed; NULL: none is left. */
void *memory_get(size_t size);
void memory_free(void *p);

lock *lock_new(void);
void lock_free(lock *l);
void lock_enter(lock *l);
void lock_leave(lock *l);

/* An event is set once. */
event *event_new(void);
void event_free(event *e);
void event_set(event *e);
void event_wait(event *e);

thread thread_start(void (*run)(void *context), void *context);
void thread_join(thread t);

/* Another process, whose memory a kernel would share. */
process process_open(uint32_t pid);
void process_close(process p);
int process_read(process p, uint64_t from, void *to, size_t size);
int process_write(process p, uint64_t to, const void *from, size_t size);

#endif
