// node chat.mjs BASE_URL KEY MODEL
//
// Calls a gateway through the official client and prints one JSON document of what a Node user would see: a whole
// answer, a streamed one with the instant of each piece, the models, and the class of each error. What is asserted
// about it stands in the Python test that runs it.

import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "Hello, 世界" }];

async function whole() {
  const { data, response } = await client.chat.completions
    .create({ model, messages, max_tokens: 16 })
    .withResponse();
  const [choice] = data.choices;
  return {
    id: data.id,
    model: data.model,
    text: choice.message.content,
    finish_reason: choice.finish_reason,
    usage: data.usage ?? null,
    receipt_id: response.headers.get("x-wardwright-receipt-id"),
  };
}

async function streamed() {
  const started = performance.now();
  const { data: stream, response } = await client.chat.completions
    .create({ model, messages, max_tokens: 16, stream: true, stream_options: { include_usage: true } })
    .withResponse();
  const seen = { id: null, model: null, pieces: [], arrived_ms: [], finish_reason: null, usage: null };
  for await (const chunk of stream) {
    seen.id ??= chunk.id;
    seen.model ??= chunk.model;
    seen.usage = chunk.usage ?? seen.usage;
    for (const choice of chunk.choices) {
      if (choice.delta.content) {
        seen.pieces.push(choice.delta.content);
        seen.arrived_ms.push(Math.round(performance.now() - started));
      }
      seen.finish_reason = choice.finish_reason ?? seen.finish_reason;
    }
  }
  return { ...seen, receipt_id: response.headers.get("x-wardwright-receipt-id") };
}

async function models() {
  const names = [];
  for await (const entry of client.models.list()) names.push(entry.id);
  return names;
}

// What the client makes of a failure: its error class is what a user's code switches on.
async function failure(attempt) {
  try {
    await attempt();
  } catch (error) {
    return {
      class: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
      type: error.type ?? null,
      message: error.message,
    };
  }
  return null;
}

const unknownModel = () =>
  client.chat.completions.create({ model: `${model}-that-does-not-exist`, messages, max_tokens: 1 });
const malformed = () => client.chat.completions.create({ model, messages: "not a list" });
const wrongKey = () =>
  client.withOptions({ apiKey: "wrong" }).chat.completions.create({ model, messages, max_tokens: 1 });

console.log(
  JSON.stringify({
    node: process.version,
    whole: await whole(),
    streamed: await streamed(),
    models: await models(),
    errors: {
      unknown_model: await failure(unknownModel),
      malformed: await failure(malformed),
      wrong_key: await failure(wrongKey),
    },
  }),
);
