/** DHCP for IPv4: a client that gives a link its address, and a server that gives addresses to others. */
export { type DhcpClient, type DhcpClientOptions, type DhcpLease, dhcpClient } from './client.ts'
export type { ClientDrop, ClientState } from './client-machine.ts'
export type { MessageFault } from './message.ts'
export { type DhcpServer, type DhcpServerOptions, dhcpServer, type LeaseStore } from './server.ts'
export type { LeaseEntry, ServerDrop, ServerEvent } from './server-machine.ts'
