/** An address and a port, to be filled in: what handlers are shown and sockets stand for. */
import type { Endpoint } from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'

export class MutableEndpoint implements Endpoint {
  readonly address: IpAddress = new IpAddress()
  port = 0
  zone = ''

  set(address: IpAddress, port: number, zone = ''): this {
    this.address.set(address)
    this.port = port
    this.zone = zone
    return this
  }
}
