/* Random bytes of the kernel, for identifiers, nonces and incarnations. Drivers only: core code is given its
 * randomness. */
#ifndef COMMON_RANDOM_H
#define COMMON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* getrandom(2); blocks only while the machine has not gathered entropy yet, right after its boot. Cannot fail. */
void random_bytes(void *out, size_t bytes);

/* Never 0, which stands for "not known" wherever a random number names something. */
uint64_t random_nonzero(void);

#endif
