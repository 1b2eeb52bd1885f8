/* What the disk allows: threads that create, write and sync a data file and its info file.
 *
 *   files DIRECTORY COUNT THREADS none|data|name
 *
 * none syncs nothing; data syncs both files; name also syncs the directory, which is what an upload
 * that is answered as durable needs. Prints one JSON line. */
#define _GNU_SOURCE
#include "http.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DATA_BYTES = 4096, INFO_BYTES = 300, MAX_THREADS = 256 };
enum sync { SYNC_NONE, SYNC_DATA, SYNC_NAME };

static struct {
    int directory;
    long count;
    enum sync sync;
    atomic_long next;
    double *latencies;
} work;

static void make_file(const char *name, const char *bytes, size_t size, int *kept) {
    int file = openat(work.directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        die(name);
    if (write(file, bytes, size) != (ssize_t)size)
        die("write");
    *kept = file;
}

static void *make_files(void *unused) {
    static const char bytes[DATA_BYTES] = "fileloft";
    long mine;
    while ((mine = atomic_fetch_add(&work.next, 1)) < work.count) {
        char name[64];
        int data, info;
        double start = now();
        snprintf(name, sizeof name, "%032lx", mine);
        make_file(name, bytes, DATA_BYTES, &data);
        strcat(name, ".info");
        make_file(name, bytes, INFO_BYTES, &info);
        if (work.sync != SYNC_NONE && (fdatasync(data) < 0 || fdatasync(info) < 0))
            die("fdatasync");
        close(data);
        close(info);
        if (work.sync == SYNC_NAME && fsync(work.directory) < 0)
            die("fsync of the directory");
        work.latencies[mine] = now() - start;
    }
    return unused;
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static enum sync read_sync(const char *word) {
    if (strcmp(word, "none") == 0)
        return SYNC_NONE;
    if (strcmp(word, "data") == 0)
        return SYNC_DATA;
    if (strcmp(word, "name") == 0)
        return SYNC_NAME;
    fprintf(stderr, "none, data or name, not %s\n", word);
    exit(2);
}

int main(int count, char **words) {
    pthread_t threads[MAX_THREADS];
    struct rusage used;
    long wanted;
    double start, seconds, cpu;
    if (count != 5) {
        fprintf(stderr, "usage: files DIRECTORY COUNT THREADS none|data|name\n");
        return 2;
    }
    work.directory = open(words[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (work.directory < 0)
        die(words[1]);
    work.count = atol(words[2]);
    wanted = atol(words[3]);
    work.sync = read_sync(words[4]);
    if (wanted < 1 || wanted > MAX_THREADS || work.count < 1) {
        fprintf(stderr, "1 to %d threads and at least one file\n", MAX_THREADS);
        return 2;
    }
    work.latencies = calloc((size_t)work.count, sizeof *work.latencies);
    if (work.latencies == NULL)
        die("memory");
    start = now();
    for (long at = 0; at < wanted; at++)
        if (pthread_create(&threads[at], NULL, make_files, NULL) != 0)
            die("thread");
    for (long at = 0; at < wanted; at++)
        pthread_join(threads[at], NULL);
    seconds = now() - start;
    getrusage(RUSAGE_SELF, &used);
    cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
          (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    qsort(work.latencies, (size_t)work.count, sizeof *work.latencies, ascending);
    printf("{\"count\": %ld, \"seconds\": %.6f, \"rate\": %.1f, \"cpu_s\": %.4f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f}\n",
           work.count, seconds, (double)work.count / seconds, cpu,
           work.latencies[work.count / 2] * 1e3, work.latencies[work.count * 99 / 100] * 1e3);
    return 0;
}
