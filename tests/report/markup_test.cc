#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/assets.h"
#include "report/page.h"

namespace xdn::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t occurrences(const std::string& text, const std::string& of) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(of, at)) != std::string::npos; at += of.size()) ++count;
  return count;
}

TEST(Markup, EscapesHtml) { EXPECT_EQ(escape_html("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;"); }

TEST(Markup, JsonInAScriptKeepsItsMeaning) {
  const Json json{{"a</script>", "<!-- \xe2\x80\xa8\xe2\x80\xa9 <b>"}};
  const std::string text = script_json(json);
  EXPECT_EQ(text.find('<'), std::string::npos);
  EXPECT_EQ(text.find("\xe2\x80\xa8"), std::string::npos);
  EXPECT_EQ(text.find("\xe2\x80\xa9"), std::string::npos);
  EXPECT_EQ(Json::parse(text), json);
}

TEST(Markup, InvalidUtf8IsReplaced) { EXPECT_THAT(script_json(Json("\xff")), HasSubstr("\xef\xbf\xbd")); }

TEST(Markup, MarkersInTheDataAreData) {
  Document document;
  document.title = "{{style}}";
  document.notes = {"{{charts}}"};
  const Assets assets{"<title>{{title}}</title>{{licences}}{{data}}", "STYLE", "SCRIPT", "CHARTS", "MIT -->"};
  const std::string page = make_page(document, assets);
  EXPECT_THAT(page, HasSubstr("<title>{{style}}</title>"));
  EXPECT_THAT(page, HasSubstr("\"{{charts}}\""));
  EXPECT_THAT(page, Not(HasSubstr("CHARTS")));
  EXPECT_EQ(occurrences(page, "-->"), 1U);  // the comment's own end
}

TEST(Markup, WhatIsBuiltInEndsNoScriptEarly) {
  const std::string page = make_page({}, assets());
  EXPECT_EQ(occurrences(page, "</script"), 3U);
  EXPECT_EQ(occurrences(page, "<script"), 3U);
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  if (assets().charts.empty()) GTEST_SKIP() << "skipped: built without charts";
  EXPECT_THAT(page, HasSubstr("Permission to use, copy, modify, and/or distribute this software"));
  EXPECT_THAT(page, HasSubstr("Mike Bostock"));
  EXPECT_THAT(page, HasSubstr("Observable, Inc."));
}

}  // namespace
}  // namespace xdn::report
