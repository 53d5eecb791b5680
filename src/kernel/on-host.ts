/**
 * A mark on the options of a socket of Node's: it is the host's own, whatever `netstrata/register` makes of `net` and
 * `dgram`. What stands on the host's network, a tunnel above all, would otherwise come to stand on itself.
 */

/** Read by `netstrata/register`; by its name, so that it does not matter from which copy of the package it comes. */
export const ON_HOST: unique symbol = Symbol.for('netstrata.onHost') as never

/** To spread into options: `net.connect({ port, host, ...onHost })`, `server.listen({ port, ...onHost })`. */
export const onHost: object = Object.freeze({ [ON_HOST]: true })
