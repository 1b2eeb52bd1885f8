/* Small uploads on many connections: see load.c. */
#ifndef FILELOFT_LIMIT_SMALL_H
#define FILELOFT_LIMIT_SMALL_H

#include <stddef.h>

/* Make *count* uploads of *size* bytes by creation-with-upload on kept-alive connections, one request
 * at a time on each; print rate and latencies as JSON. Exits where an answer is not 201. */
int run_small(const char *host, int port, const char *path, long count, int connections, size_t size);

#endif
