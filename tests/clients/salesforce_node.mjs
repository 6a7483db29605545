// jsforce: does one step against the simulator, and prints what the client made of it.
//
//   node salesforce_node.mjs STEP BASE_URL ARGUMENT...
//
// The steps and what they print are those of salesforce_python.py.

import jsforce from 'jsforce';

const [step, instanceUrl, ...args] = process.argv.slice(2);
const VERSION = '67.0';

function client(accessToken = 'test-token') {
  return new jsforce.Connection({ instanceUrl, accessToken, version: VERSION });
}

function plain({ attributes, ...record }) {
  return record;
}

async function error(call, token) {
  try {
    await call(client(token));
    return null;
  } catch (exception) {
    return { class: exception.name, content: [exception.data] };
  }
}

const steps = {
  async login(clientId, clientSecret) {
    const found = new jsforce.Connection({ oauth2: { loginUrl: instanceUrl, clientId, clientSecret }, version: VERSION });
    try {
      await found.authorize({ grant_type: 'client_credentials' });
    } catch (exception) {
      return { class: 'Error', code: exception.name };
    }
    return (await found.query('SELECT COUNT() FROM Contact')).totalSize;
  },
  async read(contact) {
    const record = await client().sobject('Contact').retrieve(contact);
    return { type: record.attributes.type, record: plain(record) };
  },
  async query(soql) {
    const answer = await client().query(soql);
    return { total: answer.totalSize, done: answer.done, records: answer.records.map(plain) };
  },
  async query_all(soql) {
    const answer = await client().query(soql, { autoFetch: true, maxFetch: 100_000 });
    return { total: answer.totalSize, records: answer.records.map(plain) };
  },
  async with_deleted(soql) {
    return (await client().query(soql, { scanAll: true })).records.map(plain);
  },
  async describe() {
    const found = client();
    const contact = await found.sobject('Contact').describe();
    const { sobjects } = await found.describeGlobal();
    return {
      objects: sobjects.map(({ name }) => name),
      updateable: contact.fields.filter(({ updateable }) => updateable).map(({ name }) => name),
      remaining: (await found.limits()).DailyApiRequests.Remaining,
      used: found.limitInfo.apiUsage.used,
    };
  },
  async update(contact) {
    const { success, id } = await client().sobject('Contact').update({ Id: contact, Title: ' Director ', Email: null });
    // As simple-salesforce says it.
    return success && id === contact ? 204 : null;
  },
  collection: (...ids) => client().sobject('Contact').update(ids.map((Id, n) => ({ Id, Title: `Director ${n}` }))),
  async bulk(...ids) {
    const input = ids.map((Id, n) => ({ Id, Title: `Director "${n}", Sales` }));
    const job = client().bulk2.createJob({ object: 'Contact', operation: 'update' });
    await job.open();
    await job.uploadData(input);
    await job.close();
    await job.poll(20, 60_000);
    const { numberRecordsFailed, numberRecordsProcessed } = await job.check();
    const { successfulResults, failedResults, unprocessedRecords } = await job.getAllResults();
    return {
      job: { numberRecordsFailed, numberRecordsProcessed, numberRecordsTotal: ids.length },
      successful: successfulResults,
      failed: failedResults,
      unprocessed: unprocessedRecords,
    };
  },
  async failing_bulk(contact) {
    const { bulk2 } = client();
    const [pollInterval, pollTimeout] = [20, 60_000];
    const input = [{ Id: contact, Titel: 'Director' }];
    try {
      await bulk2.loadAndWaitForResults({ object: 'Contact', operation: 'update', input, pollInterval, pollTimeout });
      return null;
    } catch (exception) {
      return { class: exception.constructor.name, text: exception.message };
    }
  },
  no_such_token: () => error((found) => found.query('SELECT Id FROM Contact'), "nobody's"),
  read_error: (contact) => error((found) => found.sobject('Contact').retrieve(contact)),
  update_error: (contact) => error((found) => found.sobject('Contact').update({ Id: contact, Titel: 'Director' })),
  query_error: (soql) => error((found) => found.query(soql)),
  // More than one record at once, by their ids.
  retrieve: (...ids) => client().sobject('Contact').retrieve(ids, { fields: ['Id', 'LastName'] }),
};

console.log(JSON.stringify({ value: await steps[step](...args), findings: [] }));
