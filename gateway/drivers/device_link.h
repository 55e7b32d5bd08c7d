/* /dev/lockstep/NAME on machines without udev; where udev runs its rule makes the link (deploy/60-lockstep.rules).
 * A link that cannot be made is logged and nothing more: the volume works without. Blocking; never the data thread. */
#ifndef GATEWAY_DRIVERS_DEVICE_LINK_H
#define GATEWAY_DRIVERS_DEVICE_LINK_H

/* `device`: "/dev/ublkb0". Replaces a link of that name, which a killed gateway may have left. */
void device_link_make(const char *volume, const char *device);
/* Every link to `device`. */
void device_link_remove(const char *device);

#endif
