/** A class that makes instances of another where a node is in force, and otherwise is what it was. */

// biome-ignore lint/suspicious/noExplicitAny: constructors of any arguments
type Constructor = new (...args: any[]) => object

/**
 * Node's own constructors are functions that Node's code, and old libraries, call on an object of theirs, so the stand-in
 * is one too. Subclasses, and what it is called on, stay with Node's. Our sockets are no instances of it: Node's TLS takes
 * those for sockets with a handle of the system's.
 * @param Host Node's class.
 * @param choose the class to construct instead, or undefined for Node's.
 */
export function standIn<Class extends Constructor>(
  Host: Class,
  choose: (args: readonly unknown[]) => Constructor | undefined,
): Class {
  function Socket(this: unknown, ...args: unknown[]): unknown {
    if (new.target === undefined && this instanceof Host) return Reflect.apply(Host, this, args)
    if (new.target !== undefined && new.target !== Socket) return Reflect.construct(Host, args, new.target)
    return Reflect.construct(choose(args) ?? Host, args)
  }
  Socket.prototype = Host.prototype
  Object.setPrototypeOf(Socket, Host)
  return Socket as unknown as Class
}
