/* What the machine allows: one thread a connection, socket to file and back with the fewest system calls.
 *
 *   receive splice|sha1 DIRECTORY
 *
 * Prints "PORT\n" once it listens. POST creates an empty file and answers 201; PATCH puts the body at
 * Upload-Offset and answers 204, or 460 where Upload-Checksum does not fit; GET sends the file by
 * sendfile; HEAD and OPTIONS say what a client of tus must know. Connections are kept alive. Nothing
 * is synced: the counterpart of FILELOFT_SYNC=none. */
#define _GNU_SOURCE
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TURN_BYTES = 1 << 20, ANSWER_BYTES = 512 };

static struct {
    int directory;
    int checked;
    atomic_ulong created;
} all;

/* One connection, and what its thread works with. */
struct server {
    int sock;
    int pipe[2];
    unsigned char *buffer;
    EVP_MD_CTX *digest;
    struct head head;
};

static void write_at(int file, const void *bytes, size_t count, off_t at) {
    const char *from = bytes;
    while (count > 0) {
        ssize_t written = pwrite(file, from, count, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            die("pwrite");
        from += written;
        at += written;
        count -= (size_t)written;
    }
}

/* Socket to pipe to file; the pages are moved, not read. */
static void receive_spliced(struct server *server, int file, off_t at, size_t left) {
    while (left > 0) {
        size_t turn = left < TURN_BYTES ? left : TURN_BYTES;
        ssize_t held = splice(server->sock, NULL, server->pipe[1], NULL, turn,
                              SPLICE_F_MOVE | SPLICE_F_MORE);
        if (held < 0 && errno == EINTR)
            continue;
        if (held <= 0)
            die("splice from the socket");
        left -= (size_t)held;
        while (held > 0) {
            ssize_t moved = splice(server->pipe[0], NULL, file, &at, (size_t)held, SPLICE_F_MOVE);
            if (moved < 0 && errno == EINTR)
                continue;
            if (moved <= 0)
                die("splice to the file");
            held -= moved;
        }
    }
}

static void receive_hashed(struct server *server, int file, off_t at, size_t left) {
    while (left > 0) {
        ssize_t got = recv(server->sock, server->buffer, left < TURN_BYTES ? left : TURN_BYTES, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            die("recv");
        EVP_DigestUpdate(server->digest, server->buffer, (size_t)got);
        write_at(file, server->buffer, (size_t)got, at);
        at += got;
        left -= (size_t)got;
    }
}

static int checksum_fits(struct server *server, const struct head *head) {
    unsigned char raw[EVP_MAX_MD_SIZE];
    char claimed[128], found[128] = "sha1 ";
    unsigned int size;
    EVP_DigestFinal_ex(server->digest, raw, &size);
    encode_base64(raw, size, found + 5);
    return !field(head, "Upload-Checksum", claimed, sizeof claimed) || strcmp(claimed, found) == 0;
}

static int open_target(const struct head *head, int flags) {
    char name[64];
    int file;
    if (sscanf(head->text, "%*[A-Z] /files/%63[a-z0-9] ", name) != 1)
        die("target");
    file = openat(all.directory, name, flags | O_CLOEXEC);
    if (file < 0)
        die("open");
    return file;
}

static long long size_of(int file) {
    struct stat about;
    if (fstat(file, &about) < 0)
        die("fstat");
    return about.st_size;
}

static int answer_options(char *answer) {
    return snprintf(answer, ANSWER_BYTES,
                    "HTTP/1.1 204 No Content\r\nTus-Version: 1.0.0\r\nTus-Extension: creation%s\r\n\r\n",
                    all.checked ? ",checksum\r\nTus-Checksum-Algorithm: sha1" : "");
}

static int answer_post(char *answer) {
    char name[32];
    int file;
    snprintf(name, sizeof name, "limit%lu", atomic_fetch_add(&all.created, 1));
    file = openat(all.directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        die("create");
    close(file);
    return snprintf(answer, ANSWER_BYTES,
                    "HTTP/1.1 201 Created\r\nLocation: /files/%s\r\nContent-Length: 0\r\n\r\n", name);
}

static int answer_head(struct server *server, char *answer) {
    int file = open_target(&server->head, O_RDONLY);
    int size = snprintf(answer, ANSWER_BYTES, "HTTP/1.1 200 OK\r\nUpload-Offset: %lld\r\n\r\n",
                        size_of(file));
    close(file);
    return size;
}

/* The head goes into one segment with the first bytes, as a server's does that wants few packets. */
static void send_file(struct server *server) {
    char head[ANSWER_BYTES];
    int file = open_target(&server->head, O_RDONLY);
    long long left = size_of(file);
    int size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", left);
    if (send(server->sock, head, (size_t)size, MSG_MORE | MSG_NOSIGNAL) != size)
        die("send");
    while (left > 0) {
        ssize_t sent = sendfile(server->sock, file, NULL, (size_t)left);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            die("sendfile");
        left -= sent;
    }
    close(file);
}

static int answer_patch(struct server *server, char *answer) {
    struct head *head = &server->head;
    size_t length = (size_t)number_field(head, "Content-Length", 0);
    off_t at = (off_t)number_field(head, "Upload-Offset", 0);
    size_t early = head->filled - head->end;
    int file = open_target(head, O_WRONLY), fits = 1;
    if (early > length)
        early = length;
    if (all.checked) {
        EVP_DigestInit_ex(server->digest, EVP_sha1(), NULL);
        EVP_DigestUpdate(server->digest, head->text + head->end, early);
    }
    write_at(file, head->text + head->end, early, at);
    if (all.checked) {
        receive_hashed(server, file, at + (off_t)early, length - early);
        fits = checksum_fits(server, head);
    } else {
        receive_spliced(server, file, at + (off_t)early, length - early);
    }
    close(file);
    drop_head(head, early);
    if (!fits)
        return snprintf(answer, ANSWER_BYTES,
                        "HTTP/1.1 460 Checksum Mismatch\r\nContent-Length: 0\r\n\r\n");
    return snprintf(answer, ANSWER_BYTES, "HTTP/1.1 204 No Content\r\nUpload-Offset: %lld\r\n\r\n",
                    (long long)at + (long long)length);
}

/* Answer the request whose head was read; 0 where the answer has been sent. */
static int answer_it(struct server *server, char *answer) {
    char method[8] = "";
    int size = 0;
    sscanf(server->head.text, "%7[A-Z]", method);
    if (strcmp(method, "PATCH") == 0)
        return answer_patch(server, answer);
    if (strcmp(method, "GET") == 0)
        send_file(server);
    else if (strcmp(method, "HEAD") == 0)
        size = answer_head(server, answer);
    else
        size = strcmp(method, "POST") == 0 ? answer_post(answer) : answer_options(answer);
    drop_head(&server->head, 0);
    return size;
}

static void *serve(void *given) {
    struct server *server = given;
    char answer[ANSWER_BYTES];
    if (pipe2(server->pipe, O_CLOEXEC) < 0 || fcntl(server->pipe[1], F_SETPIPE_SZ, TURN_BYTES) < 0)
        die("pipe");
    server->buffer = aligned_alloc(4096, TURN_BYTES);
    server->digest = EVP_MD_CTX_new();
    if (server->buffer == NULL || server->digest == NULL)
        die("memory");
    while (read_head(server->sock, &server->head)) {
        int size = answer_it(server, answer);
        if (size > 0)
            send_all(server->sock, answer, (size_t)size);
    }
    EVP_MD_CTX_free(server->digest);
    free(server->buffer);
    close(server->pipe[0]);
    close(server->pipe[1]);
    close(server->sock);
    free(server);
    return NULL;
}

int main(int count, char **words) {
    int port = 0, listener, one = 1;
    if (count != 3 || (strcmp(words[1], "splice") != 0 && strcmp(words[1], "sha1") != 0)) {
        fprintf(stderr, "usage: receive splice|sha1 DIRECTORY\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    all.checked = strcmp(words[1], "sha1") == 0;
    all.directory = open(words[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (all.directory < 0)
        die(words[2]);
    listener = listen_on(&port);
    printf("%d\n", port);
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        struct server *server = calloc(1, sizeof *server);
        if (server == NULL)
            die("memory");
        server->sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (server->sock < 0)
            die("accept");
        setsockopt(server->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, NULL, serve, server) != 0 || pthread_detach(thread) != 0)
            die("thread");
    }
}
