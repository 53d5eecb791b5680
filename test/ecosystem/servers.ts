/** The servers that Debian packages, each on the kernel's side of a site, with files of its own, until the test ends. */
import { readdirSync } from 'node:fs'
import type { Finished } from '../interop/helpers.ts'
import type { Site } from './site.ts'

const AS_NOBODY = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'] as const

/** PostgreSQL on port 5432: a user 'postgres' without a password, and TLS for those who ask. */
export async function postgresql(site: Site): Promise<void> {
  const { kernel } = site
  const version = Math.max(...readdirSync('/usr/lib/postgresql').map(Number))
  const program = (name: string) => [...AS_NOBODY, `/usr/lib/postgresql/${version}/bin/${name}`] as const
  const data = site.nobodys('postgresql')
  await succeed(kernel.run(...program('initdb'), '-D', data, '-U', 'postgres', '--no-sync', '--auth=trust'))
  const key = await nobodysKey(site)
  const settings = {
    listen_addresses: '*',
    unix_socket_directories: '',
    fsync: 'off',
    ssl: 'on',
    ssl_key_file: key,
    ssl_cert_file: site.certificate,
  }
  site.write('hba.conf', 'host all all all trust\n')
  const options = Object.entries({ ...settings, hba_file: site.path('hba.conf') }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ])
  await kernel.start(/ready to accept connections/, ...program('postgres'), '-D', data, ...options)
}

/** A private key is read by its owner only. */
async function nobodysKey({ kernel, key, path }: Site): Promise<string> {
  await succeed(kernel.run('install', '-o', 'nobody', '-m', '600', key, path('nobody.pem')))
  return path('nobody.pem')
}

/** MariaDB on port 3306: a user 'test' without a password, and a database 'test'. */
export async function mariadb({ kernel, path, write }: Site): Promise<void> {
  const where = ['--no-defaults', '--user=root', `--datadir=${path('mariadb')}`]
  await succeed(kernel.run('mariadb-install-db', ...where, '--skip-test-db', '--force'))
  const sql = ['CREATE DATABASE test', "CREATE USER test@'%'", "GRANT ALL ON *.* TO test@'%'"]
    .map((line) => `${line};\n`)
    .join('')
  const options = [`--init-file=${write('init.sql', sql)}`, `--socket=${path('mariadb.sock')}`, '--skip-name-resolve']
  await kernel.start(/port: 3306/, 'mariadbd', ...where, ...options, '--max-allowed-packet=16M')
}

/** Redis on port 6379. */
export function redis({ kernel, path, write }: Site): Promise<void> {
  const configuration = write('redis.conf', `bind 0.0.0.0\nprotected-mode no\nsave ""\ndir ${path('')}\n`)
  return kernel.start(/Ready to accept connections/, 'redis-server', configuration)
}

/** Mosquitto, an MQTT broker, on port 1883. */
export function mosquitto({ kernel, write }: Site): Promise<void> {
  const configuration = write('mosquitto.conf', 'listener 1883\nallow_anonymous true\nuser root\n')
  return kernel.start(/mosquitto version .* running/, 'mosquitto', '-c', configuration, '-v')
}

/** NATS on port 4222. */
export function nats({ kernel }: Site): Promise<void> {
  return kernel.start(/Server is ready/, 'nats-server', '-a', '0.0.0.0', '-p', '4222')
}

/** RabbitMQ, an AMQP broker, on port 5672: a user 'guest', who may come from anywhere. */
export function rabbitmq({ kernel, path, write }: Site): Promise<void> {
  const settings = {
    HOME: path(''),
    RABBITMQ_NODENAME: 'test@localhost',
    RABBITMQ_MNESIA_BASE: path('mnesia'),
    RABBITMQ_LOG_BASE: path('log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_CONFIG_FILE: write('rabbitmq.conf', 'loopback_users = none\n'),
    RABBITMQ_ENABLED_PLUGINS_FILE: write('plugins', '[].\n'),
    RABBITMQ_GENERATED_CONFIG_DIR: path('generated'),
    RABBITMQ_PID_FILE: path('rabbitmq.pid'),
  }
  const environment = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  const program = '/usr/lib/rabbitmq/bin/rabbitmq-server'
  return kernel.start(/Starting broker.*completed|started TCP listener/, 'env', ...environment, program)
}

/** OpenSSH on port 22, for the key pair `id` in the site's folder. */
export async function openssh({ kernel, path, write }: Site): Promise<void> {
  for (const name of ['host', 'id']) {
    await succeed(kernel.run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path(name)))
  }
  const settings = {
    HostKey: path('host'),
    AuthorizedKeysFile: path('id.pub'),
    StrictModes: 'no',
    PermitRootLogin: 'yes',
    UsePAM: 'no',
    PidFile: 'none',
    Subsystem: 'sftp internal-sftp',
    MaxStartups: '100',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`)
  // It wants this folder for itself, wherever Debian's start script has not been.
  await succeed(kernel.run('mkdir', '-p', '/run/sshd'))
  await kernel.start(/Server listening/, '/usr/sbin/sshd', '-D', '-e', '-f', write('sshd.conf', lines.join('')))
}

async function succeed(running: Promise<Finished>): Promise<void> {
  const { code, output } = await running
  if (code !== 0) throw new Error(`ended with ${code}: ${output}`)
}
