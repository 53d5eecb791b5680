/**
 * A TUN device: IP packets exchanged with the kernel of this machine (Linux; needs the optional package `koffi`). As
 * `tapDevice`, without Ethernet around them: put `direct()` on it.
 */
import type { Blueprint } from '../../src/kernel/layer.ts'
import { type DeviceOptions, type DeviceService, deviceBlueprint } from './tap-device.ts'

/**
 * A TUN device as the lowest layer of a stack. Boots on real time; one node at a time.
 * @param device its name, or more.
 * @throws TypeError, RangeError — options that make no sense. Booting fails as that of `tapDevice` does.
 */
export function tunDevice(device: string | DeviceOptions): Blueprint<DeviceService<'ip'>> {
  return deviceBlueprint('tun', 'ip', device)
}
