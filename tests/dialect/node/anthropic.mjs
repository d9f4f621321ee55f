// What a TypeScript or JavaScript user does with Anthropic's official package; prints one JSON document.
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import * as ends from "./ends.mjs";

const [origin, apiKey] = process.argv.slice(2);
const client = new Anthropic({ baseURL: origin, apiKey, maxRetries: 0 });
const stranger = new Anthropic({ baseURL: origin, apiKey: "fl-no.no", maxRetries: 0 });
const asked = (model, content = "hi") => ({ model, max_tokens: 500, messages: [{ role: "user", content }] });
const tools = [
  { name: "get_weather", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
];
const called = (message) => message.content.find((block) => block.type === "tool_use");

async function* created(model) {
  for await (const event of await client.messages.create({ ...asked(model), stream: true }))
    if (event.type === "content_block_delta") yield event.delta.text;
}

async function* helped(model) {
  for await (const event of client.messages.stream(asked(model)))
    if (event.type === "content_block_delta") yield event.delta.text;
}

async function* busily(model) {
  for await (const event of client.messages.stream(asked(model))) {
    if (event.type === "content_block_delta") yield event.delta.text;
    await ends.busy();
  }
}

async function* busilyToItsEnd(model) {
  const stream = client.messages.stream(asked(model));
  for await (const event of stream) {
    if (event.type === "content_block_delta") yield event.delta.text;
    await ends.busy();
  }
  await stream.finalMessage();
}

async function* final(model) {
  for (const block of (await client.messages.stream(asked(model)).finalMessage()).content) yield block.text;
}

async function textOf(stream) {
  let text = "";
  for await (const piece of stream) text += piece;
  return text;
}

const { data: whole, request_id } = await client.messages.create(asked("m")).withResponse();
const heard = [];
const helper = client.messages.stream(asked("m")).on("text", (text) => heard.push(text));
const message = await helper.finalMessage();
const weather = betaZodTool({
  name: "get_weather",
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  run: ({ city }) => `sunny in ${city}`,
});
const ran = await client.beta.messages.toolRunner({ ...asked("m", "use get_weather"), tools: [weather] });
const format = zodOutputFormat(z.object({ guests: z.number().int(), name: z.string() }));
const models = [];
for await (const model of client.models.list()) models.push(model.id);

console.log(
  JSON.stringify({
    whole: whole.content[0].text,
    request_id,
    usage: whole.usage,
    created: await textOf(created("m")),
    heard: heard.join(""),
    message: { text: message.content[0].text, usage: message.usage, reason: message.stop_reason },
    called: called(await client.messages.create({ ...asked("m", "use get_weather"), tools })),
    streamed: called(await client.messages.stream({ ...asked("m", "use get_weather"), tools }).finalMessage()),
    ran: ran.content[0].text,
    parsed: (await client.messages.parse({ ...asked("m", "a table"), output_config: { format } })).parsed_output,
    count: (await client.messages.countTokens({ model: "m", messages: asked("m").messages })).input_tokens,
    models,
    model: (await client.models.retrieve("m")).id,
    refused: {
      stranger: await ends.ofCall(() => stranger.messages.create(asked("m"))),
      unknown: await ends.ofCall(() => client.messages.create(asked("unknown"))),
      limited: await ends.ofCall(() => client.messages.create(asked("limited"))),
      overloaded: await ends.ofCall(() => client.messages.create(asked("overloaded"))),
    },
    broken: {
      Anthropic: {
        "`create({stream: true})`": await ends.ofBroken(created),
        "`stream`": await ends.ofBroken(helped),
        "`stream`, `finalMessage`": await ends.ofBroken(final),
        "`stream` in a loop that waits, then `finalMessage`": await ends.ofBroken(busilyToItsEnd),
      },
    },
    unnoticed: await ends.ofBroken(busily),
  }),
);
