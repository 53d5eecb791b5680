/**
 * `import 'netstrata/register'`: the sockets of a whole program through a node, for libraries that offer no hook.
 *
 *   library ──► net.connect, http.get, fetch, server.listen, dgram.createSocket, …
 *                 │
 *                 ├─ register(node) is in force ──► node.net, node.dgram
 *                 └─ nothing is; a local socket, a descriptor, or options marked by onHost ──► the host
 *
 * Import it before those libraries: some keep the functions they find when they load. Until a node is registered all goes
 * on as before. A program that cannot be changed is started with a module that boots and registers a node:
 * `node --import ./overlay.mjs program.js`.
 */
import { syncBuiltinESMExports } from 'node:module'
import { patchClients } from './register/clients.ts'
import { patchDatagrams } from './register/datagrams.ts'
import { patchServers } from './register/servers.ts'
import { type Intent, type Registration, type SocketsOfNode, switchTo } from './register/switch.ts'

export { onHost } from './kernel/on-host.ts'
export type { Intent, Registration, SocketsOfNode } from './register/switch.ts'

patchClients()
patchServers()
patchDatagrams()
syncBuiltinESMExports()

/**
 * From now on Node's `net`, `dgram`, `tls`, `http`, … mean this node, for whatever connects, listens or is bound from now
 * on; what is open stays where it is. Of several registrations that want the same, the newest has it.
 * @param wants which of it is for the node, when not all; the rest is the host's, or an older registration's.
 * @returns undoes it. Close it before the node.
 */
export function register(node: SocketsOfNode, wants: (intent: Intent) => boolean = () => true): Registration {
  return switchTo(node, wants)
}
