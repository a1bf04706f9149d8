/* Faults of the machine, put between the broker and the C library: loaded with LD_PRELOAD, steered through a small
 * file that the test and the process share.
 *
 *   0  fail fdatasync and fsync when not 0        8  how often they were failed
 *  16  seconds that the wall clock is off        24  how often it was asked
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *board;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_BOARD");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (found != MAP_FAILED)
        board = found;
    close(file);
}

static int fails(void) {
    if (!board || !board[0])
        return 0;
    __sync_fetch_and_add(&board[1], 1);
    errno = EIO;
    return 1;
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : real(file);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return fails() ? -1 : real(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (board && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        time->tv_sec += board[2];
        __sync_fetch_and_add(&board[3], 1);
    }
    return result;
}
