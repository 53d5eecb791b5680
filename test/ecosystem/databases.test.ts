/** Clients of databases against the servers themselves: pg, mysql2, ioredis. And a server of mysql2's, which has one. */
import '../../src/register.ts' // before the libraries: some keep the functions they find when they load

import { AbstractConnector, Redis } from 'ioredis'
import { type Connection, createServer } from 'mysql2'
import mysql from 'mysql2/promise'
import pg from 'pg'
import t from 'tap'
import { mariadb, postgresql, redis } from './servers.ts'
import { atSite, BULK, bothWays, type Dial, failure, OURS, registered, THEIRS, TRUST } from './site.ts'

atSite('pg and PostgreSQL', ['pg_ctlcluster'], t, async (t, site) => {
  await postgresql(site)
  await bothWays(t, site, async (t, dial) => {
    const options: pg.ClientConfig = {
      host: THEIRS,
      user: 'postgres',
      database: 'postgres',
      ...(dial && { stream: () => new site.node.net.Socket() }),
    }
    const client = new pg.Client(options)
    await client.connect()
    t.match((await client.query('select version()')).rows[0].version, /^PostgreSQL/)
    const { rows } = await client.query('select $1::bytea as back, length($1::bytea)', [BULK])
    t.ok(BULK.equals(rows[0].back), 'a large value there and back')
    const told = new Promise((resolve) => client.once('notification', ({ payload }) => resolve(payload)))
    await client.query('listen news')
    await client.query("notify news, 'something happened'")
    t.equal(await told, 'something happened')
    t.match(await failure(() => client.query('select nonsense')), { code: '42703' })
    await client.end()

    const pool = new pg.Pool({ ...options, max: 5 })
    const sums = await Promise.all(Array.from({ length: 50 }, (_, i) => pool.query('select $1::int * 2 as n', [i])))
    t.same(
      sums.map(({ rows }) => rows[0].n),
      Array.from({ length: 50 }, (_, i) => i * 2),
    )
    await pool.end()

    const secure = new pg.Client({ ...options, ssl: TRUST })
    await secure.connect()
    t.same((await secure.query('select ssl, version from pg_stat_ssl where pid = pg_backend_pid()')).rows, [
      { ssl: true, version: 'TLSv1.3' },
    ])
    await secure.end()
    t.match(await failure(() => new pg.Client({ ...options, port: 1 }).connect()), { code: 'ECONNREFUSED' })
  })
})

atSite('mysql2 and MariaDB', ['mariadbd'], t, async (t, site) => {
  await mariadb(site)
  await bothWays(t, site, async (t, dial) => {
    const options = { host: THEIRS, user: 'test', database: 'test', ...(dial && { stream: () => dial(3306) }) }
    const connection = await mysql.createConnection(options)
    const [[version]] = await connection.query<mysql.RowDataPacket[]>('select version() as version')
    t.match(version?.version, /MariaDB/)
    await connection.query('create temporary table shelf (id int primary key, octets longblob)')
    await connection.execute('insert into shelf values (?, ?)', [1, BULK])
    const [[row]] = await connection.execute<mysql.RowDataPacket[]>('select octets from shelf where id = ?', [1])
    t.ok(BULK.equals(row?.octets), 'a large value there and back')
    t.match(await failure(() => connection.query('select nonsense')), { code: 'ER_BAD_FIELD_ERROR' })
    await connection.end()

    const pool = mysql.createPool({ ...options, connectionLimit: 5 })
    const products = await Promise.all(
      Array.from({ length: 50 }, (_, i) => pool.execute<mysql.RowDataPacket[]>('select ? * 2 as n', [i])),
    )
    t.same(
      products.map(([[row]]) => Number(row?.n)),
      Array.from({ length: 50 }, (_, i) => i * 2),
    )
    await pool.end()
  })
})

atSite('ioredis and Redis', ['redis-server'], t, async (t, site) => {
  await redis(site)
  await bothWays(t, site, async (t, dial) => {
    const options = { host: THEIRS, lazyConnect: true, ...(dial && { Connector: connectorBy(dial) }) }
    const client = new Redis(options)
    await client.connect()
    t.match(await client.info('server'), /redis_version:/)
    await client.set('bulk', BULK)
    t.ok(BULK.equals((await client.getBuffer('bulk')) ?? Buffer.alloc(0)), 'a large value there and back')
    const pipeline = client.pipeline()
    for (let i = 0; i < 1000; i++) pipeline.incrby('sum', i)
    t.same((await pipeline.exec())?.at(-1), [null, 499_500])
    await client.del('sum')
    const subscriber = client.duplicate()
    const told = new Promise((resolve) => subscriber.on('message', (_channel, message) => resolve(message)))
    await subscriber.subscribe('news')
    await client.publish('news', 'something happened')
    t.equal(await told, 'something happened')
    for (const open of [client, subscriber]) await open.quit()
  })
})

function connectorBy(dial: Dial) {
  return class extends AbstractConnector {
    constructor() {
      super(1000)
    }
    override async connect() {
      this.connecting = true
      this.stream = dial(6379)
      return this.stream
    }
  }
}

/** The one column of what our server answers with: text of any length. */
const ANSWER = {
  ...{ catalog: 'def', schema: '', table: '', orgTable: '', name: 'answer', orgName: 'answer' },
  ...{ characterSet: 33, columnLength: 1 << 22, columnType: 253, flags: 0, decimals: 0 },
}

atSite("MariaDB's client and a server of mysql2", ['mariadb'], t, async (t, site) => {
  await registered(t, site, async (t) => {
    const asked: string[] = []
    const server = createServer((session: Connection) => {
      session.serverHandshake({
        protocolVersion: 10,
        serverVersion: 'netstrata',
        connectionId: 1,
        statusFlags: 2,
        characterSet: 8,
        capabilityFlags: 0xffffff ^ 0x800,
      })
      session.on('error', () => {}) // mysql2 takes it for one that the client goes.
      session.on('query', (sql: string) => {
        asked.push(sql)
        session.writeTextResult([{ answer: BULK.toString('hex') }], [ANSWER])
      })
    })
    server.listen(3306)
    const { output } = await site.kernel.run('mariadb', '-N', '-h', OURS, '-P', '3306', '-e', 'select something')
    t.match(output, BULK.toString('hex'))
    t.ok(asked.includes('select something'))
    await new Promise((resolve) => server.close(resolve))
  })
})
