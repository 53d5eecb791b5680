/** A gRPC service without a schema language, and what is asked of it: octets in, octets out. Either may be on either side. */
import { strict as assert } from 'node:assert'
import * as grpc from '@grpc/grpc-js'

const same = (octets: Buffer): Buffer => octets
const codecs = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }

/** What was sent, at once. */
const ONCE = { ...codecs, path: '/Echo/once', requestStream: false, responseStream: false } as const
/** Each message as it comes. */
const EACH = { ...codecs, path: '/Echo/each', requestStream: true, responseStream: true } as const
/** No answer, ever. */
const NEVER = { ...codecs, path: '/Echo/never', requestStream: false, responseStream: false } as const

const UNLIMITED = { 'grpc.max_receive_message_length': -1 }

export function echoServer(): grpc.Server {
  const server = new grpc.Server(UNLIMITED)
  server.addService(
    { once: ONCE, each: EACH, never: NEVER },
    {
      once: ({ request }: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) =>
        answer(null, request),
      each: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (octets) => call.write(octets)).on('end', () => call.end())
      },
      never: () => {},
    },
  )
  return server
}

/**
 * Makes calls of each kind, some at once, some large, one that comes to nothing.
 * @throws Error — when one does not go as it should.
 */
export async function exercise(address: string, credentials: grpc.ChannelCredentials, bulk: Buffer): Promise<void> {
  const client = new grpc.Client(address, credentials, { ...UNLIMITED, 'grpc.ssl_target_name_override': 'server.test' })
  try {
    const answers = await Promise.all(Array.from({ length: 8 }, () => unary(client, ONCE.path, bulk)))
    for (const answer of answers) assert.ok(bulk.equals(answer))
    const messages = Array.from({ length: 100 }, (_, i) => bulk.subarray(i, i * 1000))
    assert.deepEqual(await stream(client, messages), messages)
    await assert.rejects(unary(client, NEVER.path, bulk, 300), { code: grpc.status.DEADLINE_EXCEEDED })
    await assert.rejects(unary(client, '/Echo/unheard-of', bulk), { code: grpc.status.UNIMPLEMENTED })
  } finally {
    client.close()
  }
}

function unary(client: grpc.Client, path: string, octets: Buffer, limitMs = 20_000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + limitMs }
    client.makeUnaryRequest(path, same, same, octets, new grpc.Metadata(), options, (error, answer) =>
      error === null && answer !== undefined ? resolve(answer) : reject(error),
    )
  })
}

function stream(client: grpc.Client, messages: readonly Buffer[]): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const call = client.makeBidiStreamRequest(EACH.path, same, same)
    const answers: Buffer[] = []
    call
      .on('data', (answer) => answers.push(answer))
      .on('error', reject)
      .on('end', () => resolve(answers))
    for (const message of messages) call.write(message)
    call.end()
  })
}
