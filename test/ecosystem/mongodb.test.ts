/** MongoDB's driver, against a peer of our own: its server is not to be had from the registries that the tests use. */
import '../../src/register.ts' // before the libraries: some keep the functions they find when they load

import { MongoClient } from 'mongodb'
import t from 'tap'
import { atSite, BULK, failure, registered, THEIRS } from './site.ts'

atSite('mongodb', [], t, async (t, site) => {
  await site.servePeer('mongodb')
  await registered(t, site, async (t) => {
    const client = new MongoClient(`mongodb://${THEIRS}`, { serverSelectionTimeoutMS: 10_000, promoteBuffers: true })
    await client.connect()
    t.match(await client.db('test').command({ ping: 1 }), { ok: 1 })
    const shelf = client.db('test').collection<{ _id: number; octets: Buffer }>('shelf')
    const documents = Array.from({ length: 250 }, (_, i) => ({ _id: i, octets: BULK.subarray(i, i * 100) }))
    t.equal((await shelf.insertMany(documents)).insertedCount, 250)
    await shelf.insertOne({ _id: 250, octets: BULK })
    const found = await shelf.find().toArray()
    t.same(
      found.map(({ _id }) => _id),
      Array.from({ length: 251 }, (_, i) => i),
    )
    t.ok(found.every(({ _id, octets }) => octets.equals(documents[_id]?.octets ?? BULK)))
    const reads = await Promise.all(Array.from({ length: 20 }, () => shelf.findOne()))
    t.ok(reads.every((read) => read?._id === 0))
    t.match(await failure(() => client.db('test').command({ dance: 1 })), { code: 59 })
    await client.close()
    const nobody = new MongoClient(`mongodb://${THEIRS}:1`, { serverSelectionTimeoutMS: 500 })
    t.match(await failure(() => nobody.connect()), /ECONNREFUSED/)
    await nobody.close()
  })
})
