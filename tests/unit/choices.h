/* Depth first over everything a test could choose: each run replays the choices of the last but one, and takes the
 *first possibility wherever it comes to a new one.
 *
 *	choices_start();
 *	do
 *		run(); // calls choices_take() wherever it could go on in several ways
 *	while (choices_next());
 */
#ifndef TESTS_UNIT_CHOICES_H
#define TESTS_UNIT_CHOICES_H

#include <stdbool.h>

void choices_start(void);
/* 0 <= result < count. */
unsigned choices_take(unsigned count);
/* False: every order has been run. */
bool choices_next(void);

#endif
