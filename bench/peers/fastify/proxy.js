// A token-checking reverse proxy of Fastify's own plugins, with its log and the cache of tokens on.
import jwt from '@fastify/jwt'
import proxy from '@fastify/http-proxy'
import Fastify from 'fastify'

const env = process.env
const app = Fastify({ logger: true })
await app.register(jwt, {
  secret: env.BENCH_SIGNING_KEY,
  verify: { algorithms: ['HS256'], cache: 20000 }
})
await app.register(proxy, {
  upstream: `http://127.0.0.1:${env.BENCH_UPSTREAM_PORT}`,
  preHandler: (request) => request.jwtVerify()
})
await app.listen({ host: '127.0.0.1', port: Number(env.BENCH_PORT) })
