// What passes the gate means what was confirmed.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Gate } from './gate.mjs';

const update = {
  phase: 'run', effect: 'write', method: 'POST', path: '/v3/${object}/update', query: [], headers: [],
  body: { tag: 'many', val: { open: '{"inputs":[', item: '{"id":"${id}","properties":${fields}}', close: ']}', max: 2 } },
};
const read = { ...update, effect: 'read', method: 'GET', path: '/v3/${object}/${id}', query: ['properties'], body: { tag: 'none' } };
const served = { configSchema: '{"properties":{"object":{"default":"contacts"}}}', capabilities: [update, read] };
const changes = ['1', '2', '3'].map((provider_id) => ({ provider_id, fields: `{"city":"Ghent ${provider_id}"}` }));
const item = (id, of = id) => `{"id":"${id}","properties":{"city":"Ghent ${of}"}}`;
const headers = [['content-type', 'application/json']];
const get = (id) => ({ method: 'GET', url: `https://crm.example/v3/contacts/${id}?properties=city`, headers: [], body: '' });
const post = (...items) => ({ method: 'POST', url: 'https://crm.example/v3/contacts/update', headers, body: `{"inputs":[${items}]}` });

test('confirmed changes pass, with their records named', () => {
  const gate = new Gate('https://crm.example', served, {}, changes);
  assert.deepEqual(gate.admit(post(item('2'), item('1'))), { effect: 'write', ids: ['2', '1'] });
  assert.deepEqual(gate.admit(get('3')), { effect: 'read', ids: ['3'] });
  const wants = { ...update, headers: [{ name: 'if-match', value: '*' }] };
  const strict = new Gate('https://crm.example', { ...served, capabilities: [wants] }, {}, changes);
  strict.admit({ ...post(item('1')), headers: [...headers, ['if-match', '*']] });
  assert.throws(() => strict.admit({ ...post(item('1')), headers: [...headers, ['if-match', '1']] }));
});

test('everything else is refused', () => {
  const gate = new Gate('https://crm.example', served, {}, changes);
  const good = post(item('1'));
  for (const [why, request] of Object.entries({
    'a record that was not confirmed': post(item('4')),
    'a read of a record that was not confirmed': get('4'),
    'values of another record': post(item('1', '2')),
    'a record twice': post(item('1'), item('1')),
    'more records than are granted': post(item('1'), item('2'), item('3')),
    'no record': post(),
    'another form': { ...good, body: good.body.replace(':[', ': [') },
    'more after the body': { ...good, body: `${good.body} ` },
    'another place': { ...good, url: good.url.replace('crm.example', 'crm.example.evil') },
    'another path': { ...good, url: `${good.url}/` },
    'a query on an update': { ...good, url: `${good.url}?archived=true` },
    'another object': { ...good, url: good.url.replace('contacts', 'companies') },
    'another method': { ...good, method: 'DELETE' },
    'a header of its own': { ...good, headers: [...headers, ['authorization', 'Bearer x']] },
    'another form of body': { ...good, headers: [['content-type', 'text/plain']] },
  })) {
    assert.throws(() => gate.admit(request), why);
  }
  gate.admit(good);
  gate.settle('1');
  assert.throws(() => gate.admit(good), 'a record whose outcome is in');
});
