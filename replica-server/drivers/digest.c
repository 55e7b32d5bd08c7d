/* SHA-256 by OpenSSL. Must not know files or replicas. Called by store_file.c for each piece that a resync compares. */
#include "replica-server/drivers/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

int digest_piece(const uint8_t *bytes, size_t len, uint8_t out[DIGEST_BYTES])
{
	uint8_t whole[EVP_MAX_MD_SIZE];
	unsigned got = 0;

	if (!EVP_Digest(bytes, len, whole, &got, EVP_sha256(), NULL) || got < DIGEST_BYTES)
		return -EIO;
	memcpy(out, whole, DIGEST_BYTES);
	return 0;
}
