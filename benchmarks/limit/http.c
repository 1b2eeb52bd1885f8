#define _GNU_SOURCE
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static struct sockaddr_in address_of(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die("the host must be an IPv4 address");
    return address;
}

int listen_on(int *port) {
    struct sockaddr_in address = address_of("127.0.0.1", *port);
    socklen_t size = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 64) < 0)
        die("listen");
    getsockname(fd, (struct sockaddr *)&address, &size);
    *port = ntohs(address.sin_port);
    return fd;
}

static int find_end(struct head *head) {
    const char *blank = memmem(head->text, head->filled, "\r\n\r\n", 4);
    if (blank == NULL)
        return 0;
    head->end = (size_t)(blank - head->text) + 4;
    return 1;
}

int read_head(int fd, struct head *head) {
    while (!find_end(head)) {
        ssize_t got;
        if (head->filled == HEAD_BYTES) {
            errno = EMSGSIZE;
            die("head");
        }
        got = recv(fd, head->text + head->filled, HEAD_BYTES - head->filled, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            die("recv head");
        if (got == 0) {
            if (head->filled == 0)
                return 0;
            errno = ECONNRESET;
            die("connection ended inside a head");
        }
        head->filled += (size_t)got;
        head->text[head->filled] = '\0';
    }
    return 1;
}

void drop_head(struct head *head, size_t body) {
    size_t gone = head->end + body;
    memmove(head->text, head->text + gone, head->filled - gone);
    head->filled -= gone;
    head->text[head->filled] = '\0';
    head->end = 0;
}

int field(const struct head *head, const char *name, char *out, size_t room) {
    size_t length = strlen(name);
    const char *line = strstr(head->text, "\r\n");
    while (line != NULL && line + 2 < head->text + head->end) {
        const char *start = line + 2;
        const char *next = strstr(start, "\r\n");
        if (next == NULL)
            return 0;
        if (strncasecmp(start, name, length) == 0 && start[length] == ':') {
            const char *value = start + length + 1;
            size_t size;
            while (*value == ' ')
                value++;
            size = (size_t)(next - value);
            if (size >= room) {
                errno = EMSGSIZE;
                die(name);
            }
            memcpy(out, value, size);
            out[size] = '\0';
            return 1;
        }
        line = next;
    }
    return 0;
}

long long number_field(const struct head *head, const char *name, long long otherwise) {
    char value[32];
    return field(head, name, value, sizeof value) ? strtoll(value, NULL, 10) : otherwise;
}

void send_all(int fd, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            die("send");
        at += sent;
        count -= (size_t)sent;
    }
}

void encode_base64(const unsigned char *bytes, size_t count, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (; at + 2 < count; at += 3) {
        uint32_t three = (uint32_t)bytes[at] << 16 | (uint32_t)bytes[at + 1] << 8 | bytes[at + 2];
        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        *out++ = digits[three >> 6 & 63];
        *out++ = digits[three & 63];
    }
    if (at < count) {
        uint32_t rest = (uint32_t)bytes[at] << 16;
        if (at + 1 < count)
            rest |= (uint32_t)bytes[at + 1] << 8;
        *out++ = digits[rest >> 18];
        *out++ = digits[rest >> 12 & 63];
        *out++ = at + 1 < count ? digits[rest >> 6 & 63] : '=';
        *out++ = '=';
    }
    *out = '\0';
}
