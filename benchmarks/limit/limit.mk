# The programs that mark the limit and drive the load: make -f benchmarks/limit/limit.mk
LIMIT_SOURCES := benchmarks/limit
LIMIT_OUT := build/limit
LIMIT_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror

.PHONY: limit
limit: $(LIMIT_OUT)/receive $(LIMIT_OUT)/files $(LIMIT_OUT)/load

$(LIMIT_OUT)/receive: $(addprefix $(LIMIT_SOURCES)/,receive.c http.c http.h)
$(LIMIT_OUT)/files: $(addprefix $(LIMIT_SOURCES)/,files.c http.c http.h)
$(LIMIT_OUT)/load: $(addprefix $(LIMIT_SOURCES)/,load.c small.c small.h http.c http.h)

$(LIMIT_OUT)/receive $(LIMIT_OUT)/files $(LIMIT_OUT)/load:
	@mkdir -p $(@D)
	$(CC) $(LIMIT_CFLAGS) -o $@ $(filter %.c,$^) -lcrypto -lpthread
