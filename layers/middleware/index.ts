/** What stands on sockets, and needs no program: addresses for links, and routers that find their ways. */
export * from './dhcp/index.ts'
export * from './routing/babel/index.ts'
export * from './routing/rip/index.ts'
