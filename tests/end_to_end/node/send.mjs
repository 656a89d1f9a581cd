// Sends spans as a Node app does: send.mjs EXPORTER URL COMPRESSION SPANS. Prints their ids as JSON.
import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [kind, url, compression, count] = process.argv.slice(2);
const Exporter = { grpc: GrpcExporter, http: JsonExporter, proto: ProtoExporter }[kind];
const provider = new NodeTracerProvider({
  spanProcessors: [
    new BatchSpanProcessor(new Exporter({ url, compression }), { maxQueueSize: 100_000 }),
  ],
});
const tracer = provider.getTracer("node-app", "1.2.3");
const sent = [];

const root = tracer.startSpan("turn", { attributes: { "tollway.route": `node-${kind}` } });
const inside = trace.setSpan(context.active(), root);
for (let index = 1; index < Number(count); index += 1) {
  const call = tracer.startSpan(
    "chat gpt-4o",
    {
      kind: SpanKind.CLIENT,
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": index,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.response.finish_reasons": ["stop"],
        "app.ratio": 0.5,
        "app.cached": true,
        "app.text": "grüße 🚀\n",
      },
    },
    inside,
  );
  call.addEvent("token", { first: true });
  if (index % 10 === 0) call.setStatus({ code: SpanStatusCode.ERROR, message: "rate limited" });
  call.end();
  sent.push(call.spanContext().spanId);
}
root.end();
sent.push(root.spanContext().spanId);
await provider.forceFlush();
await provider.shutdown();
console.log(JSON.stringify({ trace_id: root.spanContext().traceId, span_ids: sent }));
