// An application that uses posthog-node as its manual says. Prints one JSON line for each thing it sees.
//
// Arguments: the scenario, and a JSON document of what to ask. Host and keys come from the environment.

import { PostHog } from 'posthog-node'

const { HOST, TOKEN, SECRET } = process.env

const see = (seen) => console.log(JSON.stringify(seen, (_, value) => (value === undefined ? null : value)))
const client = (options = {}) => new PostHog(TOKEN, { host: HOST, flushAt: 1, ...options })

async function localClient() {
  const made = client({ secretKey: SECRET, featureFlagsPollingInterval: 1000 })
  if (!(await made.waitForLocalEvaluationReady(5000))) throw new Error('no definitions')
  return made
}

const about = (question) => ({
  ...(question.groups && { groups: question.groups }),
  ...(question.person_properties && { personProperties: question.person_properties }),
  ...(question.group_properties && { groupProperties: question.group_properties }),
})

async function ask(posthog, questions, options = {}) {
  for (const question of questions) {
    const all = { ...about(question), ...options }
    const value = await posthog.getFeatureFlag(question.flag, question.id, all)
    const payload = await posthog.getFeatureFlagPayload(question.flag, question.id, value, all)
    see({ name: question.name, value, payload })
  }
}

const scenarios = {
  async remote(questions) {
    const posthog = client()
    await ask(posthog, questions)
    see({ name: 'all', value: await posthog.getAllFlags('user-61') })
    see({ name: 'enabled', value: await posthog.isFeatureEnabled('beta-search-rollout', 'user-61') })
    await posthog.shutdown()
  },

  async local(questions) {
    const posthog = await localClient()
    await ask(posthog, questions, { onlyEvaluateLocally: true })
    await posthog.shutdown()
  },

  async parity({ flags, ids }) {
    const near = await localClient()
    const far = client()
    for (const id of ids) {
      const everything = await far.getAllFlags(id, { flagKeys: flags })
      for (const key of flags) {
        const options = { onlyEvaluateLocally: true, sendFeatureFlagEvents: false }
        const local = await near.getFeatureFlag(key, id, options)
        see({ name: `${key} ${id}`, local, remote: everything[key] })
      }
    }
    await near.shutdown()
    await far.shutdown()
  },

  // Tells each change of a flag's local value until it is what was asked for.
  async poll({ flag, id, until, seconds }) {
    const posthog = await localClient()
    let seen
    const deadline = Date.now() + seconds * 1000
    while (Date.now() < deadline) {
      const value = await posthog.getFeatureFlag(flag, id, { onlyEvaluateLocally: true, sendFeatureFlagEvents: false })
      if (value !== seen) see({ name: 'changed', value })
      seen = value
      if (value === until) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await posthog.shutdown()
  },

  // Looks at a flag, switches it off over REST, and looks again at once.
  async kill_switch({ flag, id, url, key }) {
    const near = await localClient()
    const far = client()
    const look = async (name) => {
      await near.reloadFeatureFlags()
      const local = await near.getFeatureFlag(flag, id, { onlyEvaluateLocally: true })
      see({ name, local, remote: await far.getFeatureFlag(flag, id) })
    }
    await look('before')
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }
    await fetch(url, { method: 'PATCH', headers, body: '{"active": false}' })
    await look('after')
    await near.shutdown()
    await far.shutdown()
  },

  // Tells what the service says until it has said nothing for a while.
  async watch({ flag, id, seconds_after, seconds }) {
    const posthog = client()
    let gone
    const deadline = Date.now() + seconds * 1000
    while (Date.now() < (gone === undefined ? deadline : gone + seconds_after * 1000)) {
      const asked = Date.now()
      const value = await posthog.getFeatureFlag(flag, id, { sendFeatureFlagEvents: false })
      see({ value, asked: asked / 1000, answered: Date.now() / 1000 })
      gone = value === undefined ? (gone ?? asked) : undefined
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await posthog.shutdown()
  },

  async events({ id, uuid, timestamp }) {
    const posthog = client()
    posthog.capture({ distinctId: id, event: 'opened', properties: { page: 'start' }, groups: { company: 'acme' } })
    posthog.identify({ distinctId: id, properties: { $set: { plan: 'pro' }, $set_once: { source: 'advert' } } })
    posthog.alias({ distinctId: id, alias: `${id}-alias` })
    posthog.groupIdentify({ groupType: 'company', groupKey: 'acme', properties: { tier: 'gold' } })
    await posthog.flush()
    const repeated = { distinctId: id, event: 'repeated', uuid, timestamp: new Date(timestamp) }
    posthog.capture(repeated)
    await posthog.flush()
    posthog.capture(repeated)
    await posthog.flush()
    await posthog.shutdown()
    see({ name: 'uuid', value: uuid })
  },

  async exposure(questions) {
    const posthog = client()
    for (const { flag, id } of questions) {
      see({ name: id, value: await posthog.getFeatureFlag(flag, id) })
      await posthog.getFeatureFlag(flag, id)
    }
    await posthog.shutdown()
  },

  async remote_config(key) {
    const posthog = client({ secretKey: SECRET })
    see({ name: 'payload', value: await posthog.getRemoteConfigPayload(key) })
    await posthog.shutdown()
  },

  async failures({ flag, config }) {
    const stranger = new PostHog('phc_unknown', { host: HOST, flushAt: 1 })
    see({ name: 'flag', value: await stranger.getFeatureFlag(flag, 'user-61') })
    see({ name: 'all', value: await stranger.getAllFlags('user-61') })
    stranger.capture({ distinctId: 'user-61', event: 'lost' })
    await stranger.shutdown()
    const intruder = client({ secretKey: 'phs_unknown', featureFlagsPollingInterval: 60000 })
    see({ name: 'ready', value: await intruder.waitForLocalEvaluationReady(2000) })
    see({ name: 'local', value: await intruder.getFeatureFlag(flag, 'user-61', { onlyEvaluateLocally: true }) })
    see({ name: 'payload', value: await intruder.getRemoteConfigPayload(config) })
    await intruder.shutdown()
  },
}

await scenarios[process.argv[2]](JSON.parse(process.argv[3]))
