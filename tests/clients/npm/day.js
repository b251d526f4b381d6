// A working day with the npm client `bitbucket`: node day.js BASE_URL TOKEN. Ends with an error if anything is not as it should be.
'use strict'

const assert = require('node:assert/strict')
const { Bitbucket } = require('bitbucket')

const [baseUrl, token] = process.argv.slice(2)
const bitbucket = new Bitbucket({ baseUrl, auth: { token }, notice: false })
const here = { workspace: 'home', repo_slug: 'npm-day' }

async function refused (call, status) {
  await assert.rejects(call, error => {
    assert.equal(error.status, status, error.message)
    assert.equal(error.error.type, 'error')
    return true
  })
}

async function main () {
  const { data: user } = await bitbucket.users.getAuthedUser({})
  assert.equal(user.nickname, 'admin')
  const { data: workspace } = await bitbucket.workspaces.getWorkspace({ workspace: 'home' })
  assert.equal(workspace.slug, 'home')

  const { data: made } = await bitbucket.repositories.create({
    ...here, _body: { scm: 'git', is_private: true, description: 'a day' }
  })
  assert.equal(made.full_name, 'home/npm-day')

  await bitbucket.source.createFileCommit({ ...here, _body: { 'a.txt': 'one', 'docs/b c.md': '# two', message: 'First' } })
  await bitbucket.source.createFileCommit({ ...here, _body: { 'a.txt': 'three', message: 'Second', branch: 'main' } })
  const { data: file } = await bitbucket.source.read({ ...here, commit: 'main', path: 'a.txt' })
  assert.equal(file, 'three')
  const { data: root } = await bitbucket.source.read({ ...here, commit: 'main', path: '' })
  assert.deepEqual(root.values.map(entry => entry.path).sort(), ['a.txt', 'docs'])

  const { data: commits } = await bitbucket.commits.list({ ...here, pagelen: 1 })
  assert.equal(commits.values[0].message, 'Second')
  assert.ok(bitbucket.hasNextPage(commits))
  const { data: more } = await bitbucket.getNextPage(commits)
  assert.equal(more.values[0].message, 'First')
  const [second, first] = [commits.values[0].hash, more.values[0].hash]
  const { data: stat } = await bitbucket.repositories.listDiffStats({ ...here, spec: `${second}..${first}` })
  assert.deepEqual(stat.values.map(entry => [entry.status, entry.new.path]), [['modified', 'a.txt']])
  const { data: diff } = await bitbucket.commits.getDiff({ ...here, spec: second })
  assert.match(diff, /^\+three$/m)

  await bitbucket.refs.createBranch({ ...here, _body: { name: 'feature/x', target: { hash: first } } })
  const { data: branches } = await bitbucket.refs.listBranches({ ...here, q: 'name ~ "FEATURE"', sort: '-name' })
  assert.deepEqual(branches.values.map(branch => branch.name), ['feature/x'])
  await bitbucket.refs.createTag({ ...here, _body: { name: 'v1', target: { hash: first } } })
  const { data: tag } = await bitbucket.refs.getTag({ ...here, name: 'v1' })
  assert.equal(tag.target.hash, first)
  await bitbucket.refs.deleteBranch({ ...here, name: 'feature/x' })
  await refused(bitbucket.refs.getBranch({ ...here, name: 'feature/x' }), 404)

  await bitbucket.commitstatuses.createBuildStatus({
    ...here, node: second, commit: second, _body: { key: 'ci', state: 'INPROGRESS', url: 'https://ci.example.org/1' }
  })
  await bitbucket.commitstatuses.updateBuildStatus({
    ...here, node: second, commit: second, key: 'ci', _body: { key: 'ci', state: 'SUCCESSFUL', url: 'https://ci.example.org/1' }
  })
  const { data: statuses } = await bitbucket.commitstatuses.list({ ...here, node: second, commit: second })
  assert.deepEqual(statuses.values.map(status => [status.key, status.state]), [['ci', 'SUCCESSFUL']])

  const { data: hook } = await bitbucket.webhooks.create({
    ...here, _body: { url: 'https://ci.example.org/hook', description: 'ci', active: true, events: ['repo:push'] }
  })
  await bitbucket.webhooks.delete({ ...here, uid: hook.uuid })

  const { data: listed } = await bitbucket.repositories.list({ workspace: 'home', fields: 'values.slug', sort: 'slug' })
  assert.deepEqual(listed, { values: [{ slug: 'hello' }, { slug: 'npm-day' }] })
  await bitbucket.repositories.delete(here)
  await refused(bitbucket.repositories.get(here), 404)
  console.log('a working day is over')
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
