// An OpenID Connect provider for tests: node provider.js. It writes its port, reads one line of settings (JSON) from its standard input,
// and writes `ready`. People sign in without being asked, as whoever is set under /_control; or on pages, if that is set.
import http from 'node:http'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

let provider
let settings = {}
let who = null
// Of whom its userinfo endpoint tells, in the place of whoever asks.
let toldAs = null
let people = {}
let keys = [newKey()]
const server = http.createServer(answer)
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
createInterface({ input: process.stdin }).once('line', (line) => {
  settings = JSON.parse(line)
  people = settings.people
  start()
  console.log('ready')
}).once('close', () => process.exit())

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }
}

function start() {
  provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [{
      client_id: 'doorward',
      client_secret: settings.secret,
      redirect_uris: [`${settings.doorward}/account/sso/callback`],
      backchannel_logout_uri: `${settings.doorward}/account/sso/logout`,
      backchannel_logout_session_required: true,
      token_endpoint_auth_method: settings.method,
      post_logout_redirect_uris: []
    }],
    jwks: { keys },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups', 'offline_access'],
    conformIdTokenClaims: settings.claims !== 'in-token',
    cookies: { keys: ['for tests'] },
    features: { devInteractions: { enabled: Boolean(settings.pages) }, backchannelLogout: { enabled: true } },
    ...(settings.pages ? {} : { interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` } }),
    ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Grant: 600, Interaction: 600, Session: 600 },
    // It asks no address of its own network by itself, and the server under test is at one.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    pkce: { required: () => true },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ ...people[id], sub: id }) })
  })
}

async function answer(request, response) {
  if (request.url === '/_control') {
    let body = ''
    for await (const piece of request) body += piece
    const wanted = JSON.parse(body)
    if ('who' in wanted) who = wanted.who
    if ('told_as' in wanted) toldAs = wanted.told_as
    Object.assign(people, wanted.people)
    if (wanted.rotate) {
      keys = [newKey()]
      start()
    }
    return response.end('{}')
  }
  if (toldAs !== null && request.url.startsWith('/me')) {
    const end = response.end.bind(response)
    response.end = (body) => {
      const other = JSON.stringify({ ...JSON.parse(body), sub: toldAs })
      response.setHeader('content-length', Buffer.byteLength(other))
      return end(other)
    }
  }
  if (!request.url.startsWith('/interaction/') || settings.pages) return provider.callback()(request, response)
  const details = await provider.interactionDetails(request, response)
  if (who === null) {
    const cancelled = { error: 'access_denied', error_description: 'the person did not want to' }
    return provider.interactionFinished(request, response, cancelled)
  }
  const grant = new provider.Grant({ accountId: who, clientId: details.params.client_id })
  grant.addOIDCScope(details.params.scope)
  const result = { login: { accountId: who, remember: false }, consent: { grantId: await grant.save() } }
  return provider.interactionFinished(request, response, result)
}
