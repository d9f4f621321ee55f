// What a TypeScript or JavaScript user does with the official package; prints one JSON document.
import OpenAI from "openai";
import * as ends from "./ends.mjs";

const [origin, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "use get_weather" }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

async function* created(model) {
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
    yield chunk.choices[0].delta.content ?? "";
}

async function* helped(model) {
  for await (const chunk of client.chat.completions.stream({ model, messages }))
    yield chunk.choices[0].delta.content ?? "";
}

async function* busily(model) {
  for await (const chunk of client.chat.completions.stream({ model, messages })) {
    yield chunk.choices[0].delta.content ?? "";
    await ends.busy();
  }
}

async function* busilyToItsEnd(model) {
  const stream = client.chat.completions.stream({ model, messages });
  for await (const chunk of stream) {
    yield chunk.choices[0].delta.content ?? "";
    await ends.busy();
  }
  await stream.finalChatCompletion();
}

const whole = await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "hi" }] });
const stream = await client.chat.completions.create({
  model: "m",
  messages: [{ role: "user", content: "hi" }],
  stream: true,
  stream_options: { include_usage: true },
});
let text = "";
let usage = null;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
const called = await client.chat.completions.create({ model: "m", messages, tools });
const models = [];
for await (const model of await client.models.list()) models.push(model.id);
let refused = null;
try {
  await client.chat.completions.create({ model: "unknown", messages });
} catch (error) {
  refused = { name: error.constructor.name, status: error.status, code: error.code };
}
const left = await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "hi" }], stream: true });
for await (const _ of left) break;

console.log(
  JSON.stringify({
    whole: whole.choices[0].message.content,
    text,
    usage,
    tool: called.choices[0].message.tool_calls[0].function.name,
    models,
    refused,
    broken: {
      OpenAI: {
        "`create({stream: true})`": await ends.ofBroken(created),
        "`stream`": await ends.ofBroken(helped),
        "`stream` in a loop that waits, then `finalChatCompletion`": await ends.ofBroken(busilyToItsEnd),
      },
    },
    unnoticed: await ends.ofBroken(busily),
  }),
);
