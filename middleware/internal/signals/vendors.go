package signals

import "time"

// vendors are the dialects with names of their own.
var vendors = []dialect{
	// Language models, whose buckets refill all the time.
	{"OpenAI, Azure OpenAI, Groq", "https://platform.openai.com/docs/guides/rate-limits", []fields{
		{three: "X-RateLimit-*-Requests", name: "requests", bucket: true},
		{three: "X-RateLimit-*-Tokens", name: "tokens", unit: "tokens", bucket: true},
		{three: "X-RateLimit-*-Project-Tokens", name: "project-tokens", unit: "tokens", bucket: true},
		{three: "X-RateLimit-*-Images", name: "images", unit: "images", bucket: true},
		{three: "X-RateLimit-*-Input-Images", name: "input-images", unit: "images", bucket: true},
	}},
	{"GitHub Models", "https://docs.github.com/en/github-models", []fields{
		{three: "X-RateLimit-*-Requests", headers: headers{window: "X-RateLimit-RenewalPeriod-Requests"}, bucket: true},
		{three: "X-RateLimit-*-Tokens", headers: headers{window: "X-RateLimit-RenewalPeriod-Tokens"}, unit: "tokens", bucket: true},
	}},
	{"Anthropic", "https://docs.anthropic.com/en/api/rate-limits#response-headers", []fields{
		{three: "Anthropic-RateLimit-Requests-*", name: "requests", bucket: true},
		{three: "Anthropic-RateLimit-Tokens-*", name: "tokens", unit: "tokens", bucket: true},
		{three: "Anthropic-RateLimit-Input-Tokens-*", name: "input-tokens", unit: "input-tokens", bucket: true},
		{three: "Anthropic-RateLimit-Output-Tokens-*", name: "output-tokens", unit: "output-tokens", bucket: true},
	}},
	{"Cerebras", "https://inference-docs.cerebras.ai/support/rate-limits", []fields{
		{three: "X-RateLimit-*-Requests-Minute", name: "requests-minute", per: time.Minute},
		{three: "X-RateLimit-*-Requests-Hour", name: "requests-hour", per: time.Hour},
		{three: "X-RateLimit-*-Requests-Day", name: "requests-day", per: day},
		{three: "X-RateLimit-*-Tokens-Minute", name: "tokens-minute", unit: "tokens", per: time.Minute},
		{three: "X-RateLimit-*-Tokens-Hour", name: "tokens-hour", unit: "tokens", per: time.Hour},
		{three: "X-RateLimit-*-Tokens-Day", name: "tokens-day", unit: "tokens", per: day},
	}},
	{"Mistral", "https://docs.mistral.ai/deployment/ai-studio/tier", []fields{
		{three: "RateLimitBySize-*", name: "tokens", unit: "tokens"},
		{three: "X-RateLimitBySize-*-Minute", name: "tokens-minute", unit: "tokens", per: time.Minute},
		{three: "X-RateLimitBySize-*-Month", name: "tokens-month", unit: "tokens", per: 30 * day},
		{three: "X-RateLimit-*-Req-Minute", name: "requests-minute", per: time.Minute},
		{three: "X-RateLimit-*-Tokens-5-Minute", name: "tokens-5-minute", unit: "tokens", per: 5 * time.Minute},
		{three: "X-RateLimit-*-Tokens-Month", name: "tokens-month", unit: "tokens", per: 30 * day},
	}},
	{"Fireworks", "https://docs.fireworks.ai/guides/quotas_usage/rate-limits", []fields{
		{three: "X-RateLimit-*-Tokens-Prompt", name: "tokens-prompt", unit: "tokens"},
		{three: "X-RateLimit-*-Tokens-Generated", name: "tokens-generated", unit: "tokens"},
	}},
	{"Together AI", "https://docs.together.ai/docs/rate-limits", []fields{{three: "X-TokenLimit-*", name: "tokens", unit: "tokens"}}},
	{"Cohere", "https://docs.cohere.com/docs/rate-limits", []fields{{headers: headers{quota: "X-Trial-Endpoint-Call-Limit", remaining: "X-Trial-Endpoint-Call-Remaining"}, name: "trial", per: time.Minute}}},

	// Shops.
	{"Shopify", "https://shopify.dev/docs/api/admin-rest/usage/rate-limits", []fields{{headers: headers{ratio: "X-Shopify-Shop-Api-Call-Limit"}}}},
	{"Recharge", "https://developer.rechargepayments.com/2021-11/rate_limits", []fields{{headers: headers{ratio: "X-Recharge-Limit"}, name: "recharge"}}},
	{"Gorgias", "https://developers.gorgias.com/reference/limitations", []fields{{headers: headers{ratio: "X-Gorgias-Account-Api-Call-Limit"}, per: 20 * time.Second}}},
	{"Lightspeed Retail", "https://developers.lightspeedhq.com/retail/introduction/ratelimits/", []fields{{headers: headers{ratio: "X-LS-API-Bucket-Level", refill: "X-LS-API-Drip-Rate"}}}},
	{"Etsy", "https://developers.etsy.com/documentation/essentials/rate-limits", []fields{
		{headers: headers{quota: "X-Limit-Per-Second", remaining: "X-Remaining-This-Second"}, name: "second", per: time.Second},
		{headers: headers{quota: "X-Limit-Per-Day", remaining: "X-Remaining-Today"}, name: "day", per: day},
	}},
	{"Amazon Selling Partner", "https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits", []fields{{headers: headers{perSecond: "X-Amzn-RateLimit-Limit"}}}},
	{"Walmart", "https://developer.walmart.com/us-marketplace/docs/api-throttling", []fields{{headers: headers{remaining: "X-Current-Token-Count", resetMs: "X-Next-Replenishment-Time X-Next-Replenish-Time"}}}},

	// Business.
	{"HubSpot", "https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines", []fields{
		// A limit by the second is still sent, but has no effect.
		{headers: headers{quota: "X-HubSpot-RateLimit-Max", remaining: "X-HubSpot-RateLimit-Remaining", windowMs: "X-HubSpot-RateLimit-Interval-Milliseconds"}},
		{headers: headers{quota: "X-HubSpot-RateLimit-Daily", remaining: "X-HubSpot-RateLimit-Daily-Remaining"}, name: "daily", per: day},
	}},
	{"Jira, Confluence Cloud", "https://developer.atlassian.com/cloud/jira/platform/rate-limiting/", []fields{
		{headers: headers{states: "Beta-RateLimit", policies: "Beta-RateLimit-Policy"}, unit: "points"},
		{three: "X-Beta-RateLimit-*", name: "beta"},
	}},
	{"Trello", "https://developer.atlassian.com/cloud/trello/guides/rest-api/rate-limits/", []fields{{headers: headers{quota: "X-Rate-Limit-@-Max", remaining: "X-Rate-Limit-@-Remaining", windowMs: "X-Rate-Limit-@-Interval-Ms"}, each: "Api-Token Api-Key"}}},
	{"Linear, RapidAPI, API-Sports", "https://linear.app/developers/rate-limiting", []fields{
		{three: "X-RateLimit-Requests-*", name: "requests"},
		{three: "X-RateLimit-Endpoint-Requests-*", name: "endpoint-requests"},
		{three: "X-RateLimit-Complexity-*", name: "complexity", unit: "complexity"},
	}},
	{"Pipedrive", "https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting", []fields{
		{headers: headers{remaining: "X-Daily-Requests-Left", quota: "X-Rate-Limit-Daily"}, name: "daily", per: day},
		{headers: headers{remaining: "X-Daily-RateLimit-Token-Remaining", quota: "X-Daily-RateLimit-Token-Limit"}, name: "daily-tokens", unit: "tokens", per: day},
	}},
	{"Lusha", "https://docs.lusha.com/apis/openapi", []fields{
		{headers: headers{remaining: "X-Hourly-Requests-Left", quota: "X-Rate-Limit-Hourly"}, name: "hourly", per: time.Hour},
		{headers: headers{remaining: "X-Minute-Requests-Left", quota: "X-Rate-Limit-Minute"}, name: "minute", per: time.Minute},
	}},
	{"DocuSign, DigiKey", "https://developers.docusign.com/docs/esign-rest-api/esign101/rules-and-limits/", []fields{{three: "X-BurstLimit-*", name: "burst"}}},
	{"Apollo", "https://docs.apollo.io/reference/rate-limits", []fields{{headers: headers{remaining: "X-24-Hour-Requests-Left", quota: "X-Rate-Limit-24-Hour"}, name: "day", per: day}}},
	{"Exact Online, CycleSoftware", "https://support.exactonline.com/community/s/knowledge-base", []fields{
		{three: "X-RateLimit-Minutely-*", name: "minute", per: time.Minute},
		{three: "X-RateLimit-Daily-*", name: "daily", per: day},
	}},
	{"SurveyMonkey", "https://developer.surveymonkey.com/api/v3/#headers", []fields{
		{three: "X-RateLimit-App-Global-Minute-*", name: "minute", per: time.Minute},
		{three: "X-RateLimit-App-Global-Day-*", name: "day", per: day},
	}},
	{"Xero", "https://developer.xero.com/documentation/guides/oauth2/limits/", []fields{
		{headers: headers{remaining: "X-MinLimit-Remaining"}, name: "minute", per: time.Minute},
		{headers: headers{remaining: "X-DayLimit-Remaining"}, name: "day", per: day},
		{headers: headers{remaining: "X-AppMinLimit-Remaining"}, name: "app-minute", per: time.Minute},
	}},
	{"Salesforce", "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm", []fields{{headers: headers{ratio: "Sforce-Limit-Info"}, name: "api-usage", per: day}}},
	{"Brevo", "https://developers.brevo.com/docs/api-limits", []fields{{three: "X-Sib-RateLimit-*"}}},
	{"Toggl", "https://engineering.toggl.com/docs/", []fields{{headers: headers{quota: "X-Toggl-Quota-Total", remaining: "X-Toggl-Quota-Remaining", resetIn: "X-Toggl-Quota-Resets-In"}, name: "quota", per: time.Hour}}},
	{"Lark", "https://open.larksuite.com/document/server-docs/getting-started/server-error-codes", []fields{{three: "X-Ogw-RateLimit-*"}}},
	{"Axiom", "https://axiom.co/docs/restapi/api-limits", []fields{{three: "X-QueryLimit-*", name: "query", unit: "GB*ms"}, {three: "X-IngestLimit-*", name: "ingest", unit: "bytes"}}},

	// Content.
	{"Contentful", "https://www.contentful.com/developers/docs/references/content-management-api/#/introduction/api-rate-limits", []fields{{headers: headers{quota: "X-Contentful-RateLimit-@-Limit", remaining: "X-Contentful-RateLimit-@-Remaining"}, each: "Second Hour"}}},
	{"Imgur", "https://apidocs.imgur.com/#rate-limits", []fields{
		{three: "X-RateLimit-@*", each: "User Client"},
		// X-Post-Rate-Limit-* counts uploads alone.
		{three: "X-Post-Rate-Limit-*", name: "post", unit: "posts"},
	}},
	{"Ticketmaster", "https://developer.ticketmaster.com/products-and-docs/apis/getting-started/", []fields{{headers: headers{quota: "Rate-Limit", remaining: "Rate-Limit-Available", reset: "Rate-Limit-Reset"}, per: day}}},
	{"Tumblr", "https://www.tumblr.com/docs/en/api/v2", []fields{
		{three: "X-RateLimit-PerHour-*", name: "hour", per: time.Hour},
		{three: "X-RateLimit-PerDay-*", name: "day", per: day},
	}},
	{"Fitbit", "https://dev.fitbit.com/build/reference/web-api/developer-guide/application-design/#Rate-Limits", []fields{{three: "Fitbit-Rate-Limit-*", per: time.Hour}}},
	{"Discogs", "https://www.discogs.com/developers/#page:home,header:home-rate-limiting", []fields{{headers: headers{quota: "X-Discogs-RateLimit", remaining: "X-Discogs-RateLimit-Remaining", used: "X-Discogs-RateLimit-Used"}, per: time.Minute}}},
	{"Blizzard, Mashery", "https://docs.mashery.com/design/GUID-0F3E7CF7-2D5C-4F0B-A7C1-1F8A52AF1FB2.html", []fields{
		{headers: headers{quota: "X-Plan-QPS-Allotted", used: "X-Plan-QPS-Current"}, name: "second", per: time.Second},
		{headers: headers{quota: "X-Plan-Quota-Allotted", used: "X-Plan-Quota-Current", reset: "X-Plan-Quota-Reset"}, name: "quota"},
	}},

	// Clouds.
	{"Sentry", "https://docs.sentry.io/api/ratelimits/", []fields{{three: "X-Sentry-Rate-Limit-*"}}},
	{"Azure Resource Manager", "https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling", []fields{
		{headers: headers{remaining: "X-Ms-RateLimit-Remaining-@"}, each: "Subscription-Reads Subscription-Writes Subscription-Deletes Subscription-Global-Reads Subscription-Global-Writes Subscription-Global-Deletes Tenant-Reads Tenant-Writes"},
	}},
	{"Azure Resource Graph", "https://learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests", []fields{{headers: headers{remaining: "X-Ms-User-Quota-Remaining", resetIn: "X-Ms-User-Quota-Resets-After"}, name: "user-quota"}}},
	{"Dataverse", "https://learn.microsoft.com/power-apps/developer/data-platform/api-limits", []fields{{headers: headers{remaining: "X-Ms-RateLimit-Burst-Remaining-Xrm-Requests"}, name: "xrm-requests", per: 5 * time.Minute}}},
	{"Fastly", "https://www.fastly.com/documentation/reference/api/#rate-limiting", []fields{{three: "Fastly-RateLimit-*", per: time.Hour}}},

	// Exchanges.
	{"Bybit", "https://bybit-exchange.github.io/docs/v5/rate-limit", []fields{{headers: headers{quota: "X-Bapi-Limit", remaining: "X-Bapi-Limit-Status", resetMs: "X-Bapi-Limit-Reset-Timestamp"}}}},
	{"KuCoin", "https://www.kucoin.com/docs-new/rate-limit", []fields{{headers: headers{quota: "Gw-RateLimit-Limit", remaining: "Gw-RateLimit-Remaining", resetMs: "Gw-RateLimit-Reset"}, unit: "weight"}}},
	{"Gate", "https://www.gate.com/docs/developers/apiv4/en/#rate-limiting", []fields{{headers: headers{quota: "X-Gate-RateLimit-Limit", remaining: "X-Gate-RateLimit-Requests-Remain", reset: "X-Gate-RateLimit-Reset-Timestamp"}}}},
}
