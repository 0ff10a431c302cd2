#include "report/report.h"

#include "base/atomic_file.h"
#include "report/assets.h"
#include "report/inputs/inputs.h"
#include "report/page.h"
#include "report/source.h"

namespace xdn::report {

Document read_document(const std::vector<std::string>& runs, const std::string& title) {
  Document document;
  document.title = title;
  std::string first;
  for (const std::string& run : runs) {
    for (const Source& source : read_run(run)) {
      add_source(source, document);
      if (first.empty()) first = source.name;
    }
  }
  if (document.title.empty()) document.title = runs.size() == 1 ? first : first + " and others";
  return document;
}

WrittenPage write_page(const Document& document, const std::string& path) {
  const std::string page = make_page(document, assets());
  AtomicFile file(path);
  file.write(page);
  file.commit();
  return {page.size(), !assets().charts.empty()};
}

}  // namespace xdn::report
