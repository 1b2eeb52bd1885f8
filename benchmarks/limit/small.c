#define _GNU_SOURCE
#include "small.h"

#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    int sock;
    double asked;
    struct head head;
};

static struct {
    char *request;
    size_t request_bytes;
    size_t body_bytes;
    long asked;
    long answered;
    long count;
    double *latencies;
} run;

static void build_request(const char *host, int port, const char *path, size_t size) {
    char head[1024];
    int length = snprintf(head, sizeof head,
                          "POST %s HTTP/1.1\r\nHost: %s:%d\r\nTus-Resumable: 1.0.0\r\n"
                          "Upload-Length: %zu\r\nUpload-Metadata: filename c21hbGwuYmlu\r\n"
                          "Content-Type: application/offset+octet-stream\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          path, host, port, size, size);
    run.body_bytes = size;
    run.request_bytes = (size_t)length + size;
    run.request = malloc(run.request_bytes);
    if (run.request == NULL)
        die("memory");
    memcpy(run.request, head, (size_t)length);
    memset(run.request + length, 'f', size);
}

static void ask(struct connection *connection) {
    if (run.asked == run.count)
        return;
    run.asked++;
    connection->asked = now();
    send_all(connection->sock, run.request, run.request_bytes);
}

/* One recv; a whole answer is counted and followed by the next question. */
static void take_answer(struct connection *connection) {
    struct head *head = &connection->head;
    const char *blank;
    size_t body;
    ssize_t got = recv(connection->sock, head->text + head->filled, HEAD_BYTES - head->filled, 0);
    if (got <= 0)
        die("the server closed the connection");
    head->filled += (size_t)got;
    head->text[head->filled] = '\0';
    blank = strstr(head->text, "\r\n\r\n");
    if (blank == NULL)
        return;
    head->end = (size_t)(blank - head->text) + 4;
    body = (size_t)number_field(head, "Content-Length", 0);
    if (head->filled < head->end + body)
        return;
    if (status_of(head) != 201 ||
        number_field(head, "Upload-Offset", -1) != (long long)run.body_bytes) {
        fprintf(stderr, "the server answered\n%s\n", head->text);
        exit(1);
    }
    run.latencies[run.answered++] = now() - connection->asked;
    drop_head(head, body);
    ask(connection);
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int run_small(const char *host, int port, const char *path, long count, int connections, size_t size) {
    struct epoll_event ready[64];
    struct connection *all = calloc((size_t)connections, sizeof *all);
    int watch = epoll_create1(EPOLL_CLOEXEC);
    double start, seconds;
    run.count = count;
    run.latencies = calloc((size_t)count, sizeof *run.latencies);
    if (all == NULL || run.latencies == NULL || watch < 0)
        die("memory");
    build_request(host, port, path, size);
    for (int at = 0; at < connections; at++) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = &all[at]};
        all[at].sock = dial(host, port);
        if (epoll_ctl(watch, EPOLL_CTL_ADD, all[at].sock, &wanted) < 0)
            die("epoll_ctl");
    }
    start = now();
    for (int at = 0; at < connections; at++)
        ask(&all[at]);
    while (run.answered < run.count) {
        int found = epoll_wait(watch, ready, 64, -1);
        if (found < 0 && errno != EINTR)
            die("epoll_wait");
        for (int at = 0; at < found; at++)
            take_answer(ready[at].data.ptr);
    }
    seconds = now() - start;
    qsort(run.latencies, (size_t)count, sizeof *run.latencies, ascending);
    printf("{\"count\": %ld, \"seconds\": %.6f, \"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"max_ms\": %.3f}\n",
           count, seconds, (double)count / seconds, run.latencies[count / 2] * 1e3,
           run.latencies[count * 99 / 100] * 1e3, run.latencies[count - 1] * 1e3);
    return 0;
}
