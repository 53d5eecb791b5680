/** What streams and datagrams of the host have in common: endpoints and errors. */
import { getSystemErrorName } from 'node:util'
import { IpAddress, tryParseAddress } from '../../kernel/address.ts'
import { NetError } from '../../kernel/errors.ts'
import type { Endpoint } from '../sockets.ts'

/** An endpoint that can be filled from what Node reports. */
export class HostEndpoint implements Endpoint {
  readonly address: IpAddress = new IpAddress()
  port = 0
  /** The text last parsed: peers repeat themselves. */
  private text = '0.0.0.0'

  /** @param address as Node writes it, possibly with a zone ('fe80::1%eth0'), which is left out. */
  assign(address: string | undefined, port: number | undefined): this {
    this.port = port ?? 0
    if (address !== undefined && address !== this.text) {
      this.text = address
      this.address.set(tryParseAddress(address.replace(/%.*/, '')) ?? new IpAddress())
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
