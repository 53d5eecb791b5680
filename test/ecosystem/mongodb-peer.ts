/**
 * A peer for MongoDB's driver, of the wire alone: no package and no program of MongoDB's is to be had where the tests run.
 * It speaks OP_MSG as the driver does from version 4.2 of the server on, and keeps documents in an array.
 *
 *   ┌────────┬───────────┬────────────┬────────┬───────┬──────────────────────────────────────┐
 *   │ octets │ requestID │ responseTo │ 2013   │ flags │ 0, document │ 1, octets, name, documents …
 *   └────────┴───────────┴────────────┴────────┴───────┴──────────────────────────────────────┘
 */
import net from 'node:net'
import { BSON, type Document } from 'mongodb'

const OP_QUERY = 2004
const OP_REPLY = 1
const OP_MSG = 2013
const HEADER_OCTETS = 16
const BATCH = 100

/** Answers to commands; what it has been given stays until it ends. */
class Shelf {
  private readonly documents: Document[] = []

  answer(command: Document): Document {
    if ('hello' in command || 'isMaster' in command || 'ismaster' in command) return HELLO
    if ('insert' in command) {
      this.documents.push(...command.documents)
      return { n: command.documents.length, ok: 1 }
    }
    if ('find' in command) {
      return {
        cursor: { id: BSON.Long.fromNumber(7), ns: 'test.shelf', firstBatch: this.documents.slice(0, BATCH) },
        ok: 1,
      }
    }
    if ('getMore' in command) {
      return { cursor: { id: BSON.Long.ZERO, ns: 'test.shelf', nextBatch: this.documents.slice(BATCH) }, ok: 1 }
    }
    if ('endSessions' in command || 'ping' in command) return { ok: 1 }
    return { ok: 0, code: 59, codeName: 'CommandNotFound', errmsg: `no such command: ${Object.keys(command)[0]}` }
  }
}

const HELLO = {
  isWritablePrimary: true,
  ismaster: true,
  helloOk: true,
  maxBsonObjectSize: 16 << 20,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 8,
  maxWireVersion: 21,
  logicalSessionTimeoutMinutes: 30,
  connectionId: 1,
  ok: 1,
}

/** A server that is not listening yet. */
export function mongodbPeer(): net.Server {
  const shelf = new Shelf()
  return net.createServer((socket) => {
    let input = Buffer.alloc(0)
    socket.on('data', (octets) => {
      input = Buffer.concat([input, octets])
      while (input.length >= 4 && input.length >= input.readInt32LE(0)) {
        const length = input.readInt32LE(0)
        socket.write(reply(input.subarray(0, length), shelf))
        input = input.subarray(length)
      }
    })
    socket.on('error', () => {})
  })
}

function reply(request: Buffer, shelf: Shelf): Buffer {
  const isQuery = request.readInt32LE(12) === OP_QUERY
  const answer = BSON.serialize(shelf.answer(isQuery ? queried(request) : messaged(request)))
  const rest = isQuery ? Buffer.alloc(20) : Buffer.alloc(5)
  if (isQuery) rest.writeInt32LE(1, 16) // numberReturned
  const header = Buffer.alloc(HEADER_OCTETS)
  header.writeInt32LE(HEADER_OCTETS + rest.length + answer.length, 0)
  header.writeInt32LE(request.readInt32LE(4), 8)
  header.writeInt32LE(isQuery ? OP_REPLY : OP_MSG, 12)
  return Buffer.concat([header, rest, answer])
}

/** The first greeting may still be an OP_QUERY: flags, name of the collection, two numbers, document. */
function queried(request: Buffer): Document {
  return documentAt(request, request.indexOf(0, HEADER_OCTETS + 4) + 9)
}

/** The command, with the documents that followed it in sections of their own. */
function messaged(request: Buffer): Document {
  const command: Document = {}
  for (let at = HEADER_OCTETS + 4; at < request.length; ) {
    const kind = request[at]
    const end = at + 1 + request.readInt32LE(at + 1)
    if (kind === 0) Object.assign(command, documentAt(request, at + 1))
    else {
      const nameEnd = request.indexOf(0, at + 5)
      command[request.toString('latin1', at + 5, nameEnd)] = documents(request, nameEnd + 1, end)
    }
    at = end
  }
  return command
}

function documents(request: Buffer, start: number, end: number): Document[] {
  const found: Document[] = []
  for (let at = start; at < end; at += request.readInt32LE(at)) found.push(documentAt(request, at))
  return found
}

function documentAt(request: Buffer, at: number): Document {
  return BSON.deserialize(request.subarray(at, at + request.readInt32LE(at)), { promoteBuffers: true })
}
