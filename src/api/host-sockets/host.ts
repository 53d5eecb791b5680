/** What streams and datagrams of the host have in common: endpoints and errors. */
import { getSystemErrorName } from 'node:util'
import { IpAddress, splitZone, tryParseAddress } from '../../kernel/address.ts'
import { NetError } from '../../kernel/errors.ts'
import type { Endpoint } from '../sockets.ts'

/** An endpoint that can be filled from what Node reports. */
export class HostEndpoint implements Endpoint {
  readonly address: IpAddress = new IpAddress()
  port = 0
  zone = ''
  /** The text last parsed: peers repeat themselves. */
  private text = '0.0.0.0'

  /** @param address as Node writes it, possibly with a zone ('fe80::1%eth0'). */
  assign(address: string | undefined, port: number | undefined): this {
    this.port = port ?? 0
    if (address !== undefined && address !== this.text) {
      this.text = address
      const [host, zone] = splitZone(address)
      this.address.set(tryParseAddress(host) ?? new IpAddress())
      this.zone = zone
    }
    return this
  }
}

/** The same failure as a NetError: Node's code, call and place, decided by the layer 'host'. */
export function hostError(error: NodeJS.ErrnoException & { address?: string; port?: number }): NetError {
  const { code = 'EIO', syscall, address, port } = error
  return new NetError(code, error.message, { syscall, address, port, layer: 'host', cause: error })
}

/** @param status a negative errno, as libuv returns it. */
export function hostFailure(status: number, syscall: string, endpoint: Endpoint): NetError {
  return failure(getSystemErrorName(status), syscall, endpoint.address, endpoint.port)
}

/** A failure of `syscall` at an endpoint. */
export function failure(code: string, syscall: string, address: IpAddress, port: number): NetError {
  const text = address.toString()
  return new NetError(code, `${syscall} ${text}:${port}`, { syscall, address: text, port, layer: 'host' })
}

/**
 * The host knows of links by its routes alone, and by the zones of addresses.
 * @throws NetError ENOTSUP — a link for an address that is of any.
 */
export function requireScoped(address: IpAddress | undefined, link: string | undefined, syscall: string): void {
  if (link === undefined || address?.isScoped === true) return
  throw new NetError('ENOTSUP', 'the host chooses the link', { syscall })
}
