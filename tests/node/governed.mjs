// node governed.mjs BASE_URL KEY RETRIED BLOCKED LATE
//
// What a Node user sees of three models under rules: one whose first answer is given up and asked for again, one whose
// answer is blocked, and one that is blocked after a part of its answer has left. Prints one JSON document; what is
// asserted about it stands in the Python test that runs it.

import OpenAI from "openai";

const [baseURL, apiKey, retried, blocked, late] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 2, timeout: 20_000 });
const messages = [{ role: "user", content: "Hello" }];

async function whole(model) {
  return seen(async (so_far) => {
    const { choices } = await client.chat.completions.create({ model, messages });
    so_far.text = choices[0].message.content;
    so_far.finish_reason = choices[0].finish_reason;
  });
}

async function streamed(model) {
  return seen(async (so_far) => {
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
      for (const choice of chunk.choices) {
        so_far.text += choice.delta.content ?? "";
        so_far.finish_reason = choice.finish_reason ?? so_far.finish_reason;
      }
    }
  });
}

// What had come, and what the client made of a failure.
async function seen(attempt) {
  const so_far = { text: "", finish_reason: null, error: null };
  try {
    await attempt(so_far);
  } catch (error) {
    so_far.error = {
      class: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
      type: error.type ?? null,
      message: error.message,
    };
  }
  return so_far;
}

console.log(
  JSON.stringify({
    retried: { whole: await whole(retried), streamed: await streamed(retried) },
    blocked: { whole: await whole(blocked), streamed: await streamed(blocked) },
    late: { whole: await whole(late), streamed: await streamed(late) },
  }),
);
