/* A load client that is never the bottleneck.
 *
 *   load patch  HOST PORT PATH SOURCE BYTES              one PATCH, sent by sendfile
 *   load chunks HOST PORT PATH SOURCE BYTES CHUNK        PATCHes with Upload-Checksum sha1
 *   load small  HOST PORT PATH COUNT CONNECTIONS SIZE    creation-with-upload, latencies
 *   load get    HOST PORT PATH                           download, bytes dropped in the kernel
 *
 * PATH is the creation URL's path, or the file's for get. SOURCE is read in turns where BYTES exceeds
 * it; its digests are computed before the clock starts. Prints one JSON line; anything but the answer
 * that tus asks for ends the program. */
#define _GNU_SOURCE
#include "http.h"
#include "small.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct upload {
    const char *host;
    int port;
    int sock;
    char target[512];
    struct head head;
};

struct source {
    int fd;
    long long size;
};

static struct source open_source(const char *path) {
    struct stat about;
    struct source source = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (source.fd < 0 || fstat(source.fd, &about) < 0)
        die(path);
    source.size = about.st_size;
    return source;
}

static void refuse(const struct head *head, const char *what) {
    fprintf(stderr, "%s: the server answered\n%.*s\n", what, (int)head->filled, head->text);
    exit(1);
}

static void read_answer(struct upload *upload, int wanted) {
    size_t body;
    if (!read_head(upload->sock, &upload->head)) {
        errno = ECONNRESET;
        die("the server closed the connection");
    }
    if (status_of(&upload->head) != wanted)
        refuse(&upload->head, "wrong status");
    body = (size_t)number_field(&upload->head, "Content-Length", 0);
    while (upload->head.filled - upload->head.end < body) {
        ssize_t got = recv(upload->sock, upload->head.text + upload->head.filled,
                           HEAD_BYTES - upload->head.filled, 0);
        if (got <= 0)
            die("recv");
        upload->head.filled += (size_t)got;
    }
}

/* The path of a Location, absolute or relative. */
static void keep_target(struct upload *upload) {
    char location[512];
    const char *path = location;
    if (!field(&upload->head, "Location", location, sizeof location))
        refuse(&upload->head, "no Location");
    if (strncmp(location, "http", 4) == 0) {
        path = strchr(location + 8, '/');
        if (path == NULL)
            refuse(&upload->head, "Location has no path");
    }
    snprintf(upload->target, sizeof upload->target, "%s", path);
}

static void create(struct upload *upload, const char *path, long long length) {
    char request[1024];
    int size = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nHost: %s:%d\r\nTus-Resumable: 1.0.0\r\n"
                        "Upload-Length: %lld\r\nContent-Length: 0\r\n\r\n",
                        path, upload->host, upload->port, length);
    upload->sock = dial(upload->host, upload->port);
    send_all(upload->sock, request, (size_t)size);
    read_answer(upload, 201);
    keep_target(upload);
    drop_head(&upload->head, upload->head.filled - upload->head.end);
}

static void send_file(int sock, const struct source *source, off_t from, long long left) {
    while (left > 0) {
        long long room = source->size - from;
        ssize_t sent = sendfile(sock, source->fd, &from, (size_t)(left < room ? left : room));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            die("sendfile");
        left -= sent;
        if (from == source->size)
            from = 0;
    }
}

/* Send one PATCH of *length* bytes that the source has at *from*; checksum may be empty. */
static void append(struct upload *upload, const struct source *source, off_t from, long long offset,
                   long long length, const char *checksum) {
    char request[1024];
    int size = snprintf(request, sizeof request,
                        "PATCH %s HTTP/1.1\r\nHost: %s:%d\r\nTus-Resumable: 1.0.0\r\n"
                        "Content-Type: application/offset+octet-stream\r\nUpload-Offset: %lld\r\n"
                        "%s%s%sContent-Length: %lld\r\n\r\n",
                        upload->target, upload->host, upload->port, offset,
                        *checksum ? "Upload-Checksum: sha1 " : "", checksum, *checksum ? "\r\n" : "",
                        length);
    if (send(upload->sock, request, (size_t)size, MSG_NOSIGNAL | MSG_MORE) != size)
        die("send");
    send_file(upload->sock, source, from, length);
    read_answer(upload, 204);
    if (number_field(&upload->head, "Upload-Offset", -1) != offset + length)
        refuse(&upload->head, "wrong Upload-Offset");
    drop_head(&upload->head, upload->head.filled - upload->head.end);
}

static void report(const struct upload *upload, long long bytes, double seconds) {
    printf("{\"target\": \"%s\", \"bytes\": %lld, \"seconds\": %.6f, \"gb_per_s\": %.4f}\n",
           upload->target, bytes, seconds, (double)bytes / seconds * 1e-9);
}

static int run_patch(struct upload *upload, char **words) {
    struct source source = open_source(words[1]);
    long long bytes = atoll(words[2]);
    double start;
    create(upload, words[0], bytes);
    start = now();
    append(upload, &source, 0, 0, bytes, "");
    report(upload, bytes, now() - start);
    return 0;
}

static char (*digest_chunks(const struct source *source, long long chunk))[32] {
    long long count = source->size / chunk;
    char(*digests)[32] = calloc((size_t)count, sizeof *digests);
    unsigned char *bytes = mmap(NULL, (size_t)source->size, PROT_READ, MAP_SHARED, source->fd, 0);
    if (digests == NULL || bytes == MAP_FAILED)
        die("memory");
    for (long long at = 0; at < count; at++) {
        unsigned char raw[EVP_MAX_MD_SIZE];
        EVP_Digest(bytes + at * chunk, (size_t)chunk, raw, NULL, EVP_sha1(), NULL);
        encode_base64(raw, 20, digests[at]);
    }
    munmap(bytes, (size_t)source->size);
    return digests;
}

static int run_chunks(struct upload *upload, char **words) {
    struct source source = open_source(words[1]);
    long long bytes = atoll(words[2]), chunk = atoll(words[3]), held = source.size / chunk;
    char(*digests)[32];
    double start;
    if (held == 0 || bytes % chunk != 0) {
        fprintf(stderr, "SOURCE must hold a CHUNK, and BYTES must be a multiple of it\n");
        return 2;
    }
    digests = digest_chunks(&source, chunk);
    create(upload, words[0], bytes);
    start = now();
    for (long long at = 0; at < bytes / chunk; at++)
        append(upload, &source, (off_t)(at % held * chunk), at * chunk, chunk, digests[at % held]);
    report(upload, bytes, now() - start);
    free(digests);
    return 0;
}

/* MSG_TRUNC drops the bytes of a TCP stream without copying them. */
static int run_get(struct upload *upload, char **words) {
    enum { TURN_BYTES = 1 << 20 };
    char request[1024];
    long long bytes, left;
    double start;
    int size;
    snprintf(upload->target, sizeof upload->target, "%s", words[0]);
    size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", words[0],
                    upload->host, upload->port);
    upload->sock = dial(upload->host, upload->port);
    start = now();
    send_all(upload->sock, request, (size_t)size);
    if (!read_head(upload->sock, &upload->head) || status_of(&upload->head) != 200)
        refuse(&upload->head, "wrong status");
    bytes = number_field(&upload->head, "Content-Length", -1);
    left = bytes - (long long)(upload->head.filled - upload->head.end);
    while (left > 0) {
        ssize_t got = recv(upload->sock, NULL, left < TURN_BYTES ? (size_t)left : TURN_BYTES, MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("recv");
        left -= got;
    }
    report(upload, bytes, now() - start);
    return 0;
}

int main(int count, char **words) {
    static struct upload upload;
    static const struct {
        const char *name;
        int words;
        int (*run)(struct upload *, char **);
    } modes[] = {{"patch", 7, run_patch}, {"chunks", 8, run_chunks}, {"get", 5, run_get}};
    signal(SIGPIPE, SIG_IGN);
    if (count > 4) {
        upload.host = words[2];
        upload.port = atoi(words[3]);
    }
    for (size_t at = 0; at < sizeof modes / sizeof *modes; at++)
        if (count == modes[at].words && strcmp(words[1], modes[at].name) == 0)
            return modes[at].run(&upload, words + 4);
    if (count == 8 && strcmp(words[1], "small") == 0)
        return run_small(upload.host, upload.port, words[4], atol(words[5]), atoi(words[6]),
                         (size_t)atol(words[7]));
    fprintf(stderr, "usage: see the head of load.c\n");
    return 2;
}
