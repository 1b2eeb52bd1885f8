/* What the machine allows: one connection, one thread, socket to file with the fewest system calls.
 *
 *   receive splice|sha1 DIRECTORY
 *
 * Prints "PORT\n" once it listens. POST creates an empty file and answers 201; PATCH puts the body at
 * Upload-Offset and answers 204, or 460 where Upload-Checksum does not fit. Connections are served
 * one after the other, each kept alive. Nothing is synced: the counterpart of FILELOFT_SYNC=none. */
#define _GNU_SOURCE
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURN_BYTES = 1 << 20 };

struct server {
    int directory;
    int pipe[2];
    unsigned char *buffer;
    EVP_MD_CTX *digest;
    unsigned long created;
    int checked;
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
static void receive_spliced(struct server *server, int sock, int file, off_t at, size_t left) {
    while (left > 0) {
        ssize_t held = splice(sock, NULL, server->pipe[1], NULL, left < TURN_BYTES ? left : TURN_BYTES,
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

static void receive_hashed(struct server *server, int sock, int file, off_t at, size_t left) {
    while (left > 0) {
        ssize_t got = recv(sock, server->buffer, left < TURN_BYTES ? left : TURN_BYTES, 0);
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

static int answer_post(struct server *server, char *answer, size_t room) {
    char name[32];
    int file;
    snprintf(name, sizeof name, "limit%lu", ++server->created);
    file = openat(server->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        die("create");
    close(file);
    return snprintf(answer, room,
                    "HTTP/1.1 201 Created\r\nLocation: /files/%s\r\nContent-Length: 0\r\n\r\n", name);
}

static int answer_patch(struct server *server, int sock, struct head *head, char *answer, size_t room) {
    char name[64];
    size_t length = (size_t)number_field(head, "Content-Length", 0);
    off_t at = (off_t)number_field(head, "Upload-Offset", 0);
    size_t early = head->filled - head->end;
    int file, fits = 1;
    if (sscanf(head->text, "PATCH /files/%63[a-z0-9] ", name) != 1)
        die("target");
    file = openat(server->directory, name, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        die("open");
    if (early > length)
        early = length;
    if (server->checked) {
        EVP_DigestInit_ex(server->digest, EVP_sha1(), NULL);
        EVP_DigestUpdate(server->digest, head->text + head->end, early);
    }
    write_at(file, head->text + head->end, early, at);
    if (server->checked) {
        receive_hashed(server, sock, file, at + (off_t)early, length - early);
        fits = checksum_fits(server, head);
    } else {
        receive_spliced(server, sock, file, at + (off_t)early, length - early);
    }
    close(file);
    drop_head(head, early);
    if (!fits)
        return snprintf(answer, room, "HTTP/1.1 460 Checksum Mismatch\r\nContent-Length: 0\r\n\r\n");
    return snprintf(answer, room, "HTTP/1.1 204 No Content\r\nUpload-Offset: %lld\r\n\r\n",
                    (long long)at + (long long)length);
}

static void serve(struct server *server, int sock) {
    static struct head head;
    char answer[256];
    head.filled = 0;
    while (read_head(sock, &head)) {
        int size;
        if (strncmp(head.text, "POST ", 5) == 0) {
            size = answer_post(server, answer, sizeof answer);
            drop_head(&head, 0);
        } else {
            size = answer_patch(server, sock, &head, answer, sizeof answer);
        }
        send_all(sock, answer, (size_t)size);
    }
}

int main(int count, char **words) {
    struct server server = {0};
    int port = 0, listener, one = 1;
    if (count != 3 || (strcmp(words[1], "splice") != 0 && strcmp(words[1], "sha1") != 0)) {
        fprintf(stderr, "usage: receive splice|sha1 DIRECTORY\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    server.checked = strcmp(words[1], "sha1") == 0;
    server.directory = open(words[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server.directory < 0)
        die(words[2]);
    if (pipe2(server.pipe, O_CLOEXEC) < 0 || fcntl(server.pipe[1], F_SETPIPE_SZ, TURN_BYTES) < 0)
        die("pipe");
    server.buffer = aligned_alloc(4096, TURN_BYTES);
    server.digest = EVP_MD_CTX_new();
    if (server.buffer == NULL || server.digest == NULL)
        die("memory");
    listener = listen_on(&port);
    printf("%d\n", port);
    fflush(stdout);
    for (;;) {
        int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (sock < 0 && errno == EINTR)
            continue;
        if (sock < 0)
            die("accept");
        setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        serve(&server, sock);
        close(sock);
    }
}
