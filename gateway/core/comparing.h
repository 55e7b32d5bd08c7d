/* Does it pay to compare a region before it is copied to a replica that comes back? Reading and digesting it on both
 * sides costs about what copying it does, so where hardly anything is equal the next regions are copied unseen, and now
 * and then one is compared to learn whether that is still so. Pure, one thread. */
#ifndef GATEWAY_CORE_COMPARING_H
#define GATEWAY_CORE_COMPARING_H

#include <stdbool.h>

#define COMPARING_LEARNS_FROM 16u /* pieces that must have been compared before anything is concluded: a region */
#define COMPARING_EVERY 16u	  /* regions are copied unseen, then one is compared */

/* Zeros are a good beginning. */
struct comparing {
	unsigned compared, equal; /* pieces, the older ones counting less and less */
	unsigned unseen;	  /* regions since the last one that was compared */
};

/* For the next region, and remembered: does it, where fewer equal pieces than so many percent are not worth it? */
bool comparing_pays(struct comparing *it, unsigned least_percent);
/* Of `compared` pieces so many were `equal`. */
void comparing_note(struct comparing *it, unsigned compared, unsigned equal);

#endif
