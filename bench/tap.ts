/** A host of ours beside the kernel of this machine, which lives in a namespace at the other side of a TAP device. */
import { tapDevice } from '../layers/physical/node.ts'
import type { Sockets } from '../src/api/sockets.ts'
import type { Node } from '../src/runtime/node.ts'
import { boot } from '../src/runtime/real-time.ts'
import { host } from './hosts.ts'
import { type Namespace, namespace } from './processes.ts'

/** Where the kernel is. */
export const KERNEL = '10.8.0.1'

export interface TapHost {
  readonly node: Node<Sockets>
  readonly namespace: Namespace
  close(): Promise<void>
}

/** @param vnetHdr super-segments and unfinished checksums, both ways. */
export async function tapHost(vnetHdr: boolean): Promise<TapHost> {
  const ns = namespace()
  try {
    const node = await boot(host(tapDevice({ name: 'tap0', netns: ns.name, vnetHdr }), '10.8.0.2/24'), 'tap')
    ns.ip('address', 'add', `${KERNEL}/24`, 'dev', 'tap0')
    return {
      node,
      namespace: ns,
      async close() {
        await node.close()
        ns.remove()
      },
    }
  } catch (error) {
    ns.remove()
    throw error
  }
}
