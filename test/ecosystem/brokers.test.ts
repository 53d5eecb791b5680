/** Clients of message brokers against the brokers themselves: mqtt, NATS, amqplib. And aedes, a broker over our sockets. */
import '../../src/register.ts' // before the libraries: some keep the functions they find when they load

import net from 'node:net'
import * as nats from '@nats-io/transport-node'
import { Aedes } from 'aedes'
import * as amqp from 'amqplib'
import { connect as connectMqtt, type IClientOptions, MqttClient } from 'mqtt'
import t from 'tap'
import { once } from '../api/events.ts'
import { mosquitto, nats as natsServer, rabbitmq } from './servers.ts'
import { atSite, BULK, bothWays, failure, OURS, registered, THEIRS } from './site.ts'

atSite('mqtt and Mosquitto', ['mosquitto'], t, async (t, site) => {
  await mosquitto(site)
  await bothWays(t, site, async (t, dial) => {
    for (const protocolVersion of [4, 5] as const) {
      const options: IClientOptions = { protocolVersion, clientId: `netstrata-${protocolVersion}` }
      const client =
        dial === undefined ? connectMqtt(`mqtt://${THEIRS}`, options) : new MqttClient(() => dial(1883), options)
      await new Promise<void>((resolve) => client.once('connect', () => resolve()))
      await client.subscribeAsync('shelf/#', { qos: 2 })
      for (const qos of [0, 1, 2] as const) {
        const arrived = new Promise<Buffer>((resolve) => client.once('message', (_topic, payload) => resolve(payload)))
        await client.publishAsync(`shelf/${qos}`, BULK, { qos })
        t.ok(BULK.equals(await arrived), `version ${protocolVersion}, quality ${qos}`)
      }
      await client.endAsync()
    }
  })
})

atSite("aedes and Mosquitto's clients", ['mosquitto_pub'], t, async (t, site) => {
  const { node, kernel, write } = site
  async function serve(t: Parameters<typeof registered>[0], server: net.Server): Promise<void> {
    const broker = await Aedes.createBroker()
    server.on('connection', broker.handle)
    await new Promise<void>((resolve) => server.listen(1883, resolve))
    const subscribed = once(broker, 'subscribe')
    const heard = kernel.run(
      'mosquitto_sub',
      '-h',
      OURS,
      '-t',
      'shelf/#',
      '-q',
      '2',
      '-C',
      '2',
      '-W',
      '20',
      '-F',
      '%q %l',
    )
    await subscribed
    const file = write('bulk', BULK.toString('hex'))
    for (const qos of ['1', '2']) {
      const said = await kernel.run('mosquitto_pub', '-h', OURS, '-t', `shelf/${qos}`, '-q', qos, '-f', file)
      t.same(said, { code: 0, output: '' })
    }
    t.equal((await heard).output, `1 ${BULK.length * 2}\n2 ${BULK.length * 2}\n`)
    await new Promise<void>((resolve) => broker.close(resolve))
    await new Promise((resolve) => server.close(resolve))
  }
  await t.test('by its hook', (t) => serve(t, node.net.createServer() as unknown as net.Server))
  await registered(t, site, (t) => serve(t, net.createServer()))
})

atSite('NATS', ['nats-server'], t, async (t, site) => {
  await natsServer(site)
  await registered(t, site, async (t) => {
    const connection = await nats.connect({ servers: THEIRS, maxReconnectAttempts: 0 })
    const largest = BULK.subarray(0, connection.info?.max_payload)
    t.equal(largest.length, 1 << 20)
    const echo = connection.subscribe('echo', { callback: (_error, message) => void message.respond(message.data) })
    const answer = await connection.request('echo', largest, { timeout: 10_000 })
    t.ok(largest.equals(answer.data), 'the largest message there and back')
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => connection.request('echo', `${i}`)))
    t.same(
      answers.map((answer) => answer.string()),
      Array.from({ length: 100 }, (_, i) => `${i}`),
    )
    echo.unsubscribe()
    await connection.drain()
    t.equal(await connection.closed(), undefined)
    t.match(await failure(() => nats.connect({ servers: `${THEIRS}:1`, reconnect: false })), /refused/i)
  })
})

atSite('amqplib and RabbitMQ', ['rabbitmqctl'], t, async (t, site) => {
  await rabbitmq(site)
  await registered(t, site, async (t) => {
    const connection = await amqp.connect(`amqp://${THEIRS}`)
    const channel = await connection.createConfirmChannel()
    await channel.assertQueue('shelf', { durable: true })
    for (let i = 0; i < 20; i++) channel.sendToQueue('shelf', BULK, { persistent: true, messageId: `${i}` })
    await channel.waitForConfirms()
    const seen: string[] = []
    await new Promise<void>((resolve) => {
      void channel.consume('shelf', (message) => {
        if (message === null) return
        if (BULK.equals(message.content)) seen.push(message.properties.messageId)
        channel.ack(message)
        if (seen.length === 20) resolve()
      })
    })
    t.same(
      seen,
      Array.from({ length: 20 }, (_, i) => `${i}`),
    )
    await channel.close()
    await connection.close()
    t.match(await failure(() => amqp.connect(`amqp://${THEIRS}:1`)), { code: 'ECONNREFUSED' })
  })
})
