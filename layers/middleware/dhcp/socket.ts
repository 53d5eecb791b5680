/** The datagram socket of a DHCP host: on one link, to one address or to everybody there. */
import type { DatagramSocket, Sockets } from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import { NetError } from '../../../src/kernel/errors.ts'

const EVERYBODY = IpAddress.ipv4(-1)

export class DhcpSocket {
  private readonly socket: DatagramSocket
  /** Datagrams the network would not take: no address yet, no way, no room. They are sent again by the machines, or not missed. */
  unsent = 0

  /**
   * @param arrived told of each datagram, which is valid only during the call.
   * @throws NetError EADDRINUSE — another socket has the port on that link.
   */
  constructor(sockets: Sockets, link: string, port: number, arrived: (octets: Uint8Array) => void) {
    const handler = {
      message: (_socket: DatagramSocket, octets: Uint8Array, start: number, length: number): void =>
        arrived(octets.subarray(start, start + length)),
    }
    const address = new IpAddress()
    this.socket = sockets.datagram.bind({ address, port, link, options: { broadcast: true } }, handler)
  }

  /** @param to an IPv4 address as int32; 0: everybody on the link. */
  send(octets: Uint8Array, to: number, port: number): void {
    try {
      this.socket.send(octets, 0, octets.length, to === 0 ? EVERYBODY : IpAddress.ipv4(to), port)
    } catch (error) {
      if (!(error instanceof NetError)) throw error
      this.unsent++
    }
  }

  close(): void {
    this.socket.close()
  }
}
